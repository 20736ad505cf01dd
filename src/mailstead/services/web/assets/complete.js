// Fields of recipients offer who may be meant: a combobox with a list, by keyboard, pointer and screen reader.
// A field holds several addresses with commas between them; what is completed is the one at the caret.
// Pattern: WAI-ARIA Authoring Practices, "Editable Combobox With List Autocomplete".
const WAIT_MS = 150;
let lists = 0;

for (const field of document.querySelectorAll("input[data-complete]")) setUp(field);

function setUp(field) {
  const id = `completions-${++lists}`;
  const around = document.createElement("div");
  around.className = "completing";
  const hadFocus = document.activeElement === field;
  field.replaceWith(around);
  const list = document.createElement("ul");
  list.id = id;
  list.className = "completions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", field.dataset.completeLabel);
  list.hidden = true;
  const status = document.createElement("p");
  status.className = "unseen";
  status.setAttribute("aria-live", "polite");
  around.append(field, list, status);
  if (hadFocus) field.focus(); // which moving took away
  field.setAttribute("role", "combobox");
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-haspopup", "listbox");
  field.setAttribute("aria-expanded", "false");
  field.setAttribute("aria-controls", id);
  field.setAttribute("autocomplete", "off");

  let timer = 0;
  let asking = null;
  let active = -1;

  const options = () => [...list.children];

  function close() {
    clearTimeout(timer);
    asking?.abort();
    list.hidden = true;
    list.replaceChildren();
    active = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  function point(number) {
    const all = options();
    active = (number + all.length) % all.length;
    all.forEach((option, at) => option.setAttribute("aria-selected", String(at === active)));
    field.setAttribute("aria-activedescendant", all[active].id);
    all[active].scrollIntoView({ block: "nearest" });
  }

  function choose(option) {
    const [start, end] = part(field);
    const before = field.value.slice(0, start);
    const after = field.value.slice(end).replace(/^[\s,]+/, "");
    const head = `${before}${before && !/\s$/.test(before) ? " " : ""}${option.dataset.text}, `;
    field.value = head + after;
    field.setSelectionRange(head.length, head.length);
    status.textContent = "";
    close();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function show(found) {
    list.replaceChildren(
      ...found.map((each, number) => {
        const option = document.createElement("li");
        option.id = `${id}-${number}`;
        option.setAttribute("role", "option");
        option.dataset.text = each.text;
        const name = document.createElement("strong");
        name.textContent = each.name || each.address;
        option.append(name);
        if (each.name) {
          const address = document.createElement("span");
          address.textContent = each.address;
          option.append(" ", address);
        }
        option.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
        option.addEventListener("click", () => choose(option));
        return option;
      }),
    );
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
    status.textContent = field.dataset.completeCount.replace("#", String(found.length));
    point(0);
  }

  async function ask() {
    asking?.abort();
    const [start, end] = part(field);
    const text = field.value.slice(start, end).replace(/^["\s]+|["\s]+$/g, "");
    // One letter says too little, but one syllable of Korean, or a character of Chinese, is a word.
    if (text.length < 2 && !/[^\u0000-\u024f]/.test(text)) return close();
    if (text.includes("<")) return close();
    asking = new AbortController();
    try {
      const answer = await fetch(`${field.dataset.complete}?q=${encodeURIComponent(text)}`, {
        credentials: "same-origin",
        redirect: "error", // the session has ended: the form will say so
        signal: asking.signal,
      });
      const found = answer.ok ? await answer.json() : [];
      if (document.activeElement !== field || found.length === 0) return close();
      show(found);
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  }

  field.addEventListener("input", (event) => {
    clearTimeout(timer);
    if (event.isTrusted && !event.isComposing) timer = setTimeout(ask, WAIT_MS);
  });
  field.addEventListener("compositionend", () => {
    timer = setTimeout(ask, WAIT_MS);
  });
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const isOpen = !list.hidden;
    if (event.key === "Enter") {
      // A message is sent by its button, never by chance while its recipients are filled in.
      event.preventDefault();
      if (isOpen) choose(options()[active]);
    } else if (event.key === "Tab" && isOpen) {
      choose(options()[active]);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && isOpen) {
      event.preventDefault();
      point(active + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "ArrowDown" && event.altKey) {
      event.preventDefault();
      ask();
    }
  });
}

// Give where the address at the caret begins and ends: commas part addresses, but not within quotes.
function part(field) {
  const { value, selectionStart } = field;
  const caret = selectionStart ?? value.length;
  let start = 0;
  let isQuoted = false;
  for (let at = 0; at < value.length; at += 1) {
    if (value[at] === '"' && value[at - 1] !== "\\") isQuoted = !isQuoted;
    if (isQuoted || (value[at] !== "," && value[at] !== ";")) continue;
    if (at >= caret) return [start, at];
    start = at + 1;
  }
  return [start, value.length];
}
