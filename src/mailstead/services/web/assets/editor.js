// Formatted text in the compose page. The plain field stays what it is without this script; what is written here goes
// through the server's own filter again. No words are in here: they come from the template.
const ALLOWED = new Set(
  "A B BLOCKQUOTE BR CODE DIV EM H1 H2 H3 HR I LI OL P PRE S STRONG SUB SUP TABLE TBODY TD TH THEAD TR U UL".split(" "),
);
const DROPPED = new Set("SCRIPT STYLE TEMPLATE NOSCRIPT IFRAME OBJECT EMBED SVG MATH HEAD TITLE META LINK".split(" "));
const SAFE_LINK = /^(https?:\/\/|mailto:)/i;

const IMAGES = "/mail/write/image";

// The content id by which the message knows an image of its own; null for all others, which are not written.
function idOf(image) {
  const source = image.getAttribute("src") ?? "";
  if (image.dataset.cid) return image.dataset.cid;
  if (/^cid:/i.test(source)) return source.slice(4);
  const address = URL.canParse(source, location.href) ? new URL(source, location.href) : null;
  return address?.origin === location.origin && address.pathname === IMAGES ? address.searchParams.get("cid") : null;
}

// Give a copy of what stands below a node with nothing in it but what may be written here. Images are to have no
// address in a document that is shown: it would be fetched.
function filtered(from, made = document) {
  const into = made.createDocumentFragment();
  for (const node of from.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) {
      into.append(node.data);
    } else if (node.nodeType === Node.ELEMENT_NODE && !DROPPED.has(node.tagName.toUpperCase())) {
      if (node.tagName === "IMG") {
        const id = idOf(node);
        if (!id) continue;
        const image = made.createElement("img");
        image.alt = node.alt;
        if (made === document) image.dataset.cid = id;
        else image.setAttribute("src", `cid:${id}`);
        into.append(image);
        continue;
      }
      const below = filtered(node, made);
      if (!ALLOWED.has(node.tagName)) {
        into.append(below);
        continue;
      }
      const copy = made.createElement(node.tagName);
      const target = node.tagName === "A" ? (node.getAttribute("href") ?? "").trim() : "";
      if (SAFE_LINK.test(target)) copy.setAttribute("href", target);
      if (node.dir) copy.dir = node.dir;
      copy.append(below);
      into.append(copy);
    }
  }
  return into;
}

// What a template holds is inert: nothing in it runs or is fetched. Styles and handlers are renamed before that, only
// because browsers report them against the page's policy as soon as they are parsed.
function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html.replace(/<[a-z][^>]*>/gi, (tag) => tag.replace(/([\s"'/])(?:style|on[a-z]+)(?=\s*=)/gi, "$1data-no"));
  return filtered(template.content);
}

function lines(text) {
  const into = document.createDocumentFragment();
  for (const line of text.replace(/\r\n?/g, "\n").split("\n")) {
    const made = document.createElement("div");
    made.append(line || document.createElement("br"));
    into.append(made);
  }
  return into;
}

function start(editor) {
  const form = editor.closest("form");
  const plain = form.querySelector("textarea[name=text]");
  const label = form.querySelector(`label[for="${plain.id}"]`);
  const rich = editor.querySelector("[contenteditable]");
  const tools = editor.querySelector("[role=toolbar]");
  const buttons = [...tools.querySelectorAll("button")];
  const linkRow = editor.querySelector(".editor-link");
  const linkField = linkRow.querySelector("input");
  const html = form.querySelector("input[name=html]");
  const format = form.querySelector("input[name=format]");
  const toggle = form.querySelector("[data-editor-switch]");
  const choice = toggle.querySelector("input");
  const textAtFirst = plain.value;
  let kept = null; // the selection that a link is for

  function current() {
    const selection = document.getSelection();
    return selection.rangeCount && rich.contains(selection.anchorNode) ? selection.getRangeAt(0) : null;
  }

  function enclosing(name) {
    let node = current()?.startContainer ?? null;
    while (node && node !== rich) {
      if (node.nodeName === name) return node;
      node = node.parentNode;
    }
    return null;
  }

  const states = {
    bold: () => document.queryCommandState("bold"),
    italic: () => document.queryCommandState("italic"),
    list: () => document.queryCommandState("insertUnorderedList"),
    numbers: () => document.queryCommandState("insertOrderedList"),
    heading: () => enclosing("H2") !== null,
    quote: () => enclosing("BLOCKQUOTE") !== null,
    code: () => enclosing("PRE") !== null,
    link: () => enclosing("A") !== null,
  };

  function block(name) {
    document.execCommand("formatBlock", false, enclosing(name) ? "div" : name);
  }

  const commands = {
    bold: () => document.execCommand("bold"),
    italic: () => document.execCommand("italic"),
    list: () => document.execCommand("insertUnorderedList"),
    numbers: () => document.execCommand("insertOrderedList"),
    heading: () => block("H2"),
    quote: () => (enclosing("BLOCKQUOTE") ? document.execCommand("outdent") : block("BLOCKQUOTE")),
    code: () => block("PRE"),
    link: openLink,
    clear: () => {
      document.execCommand("removeFormat");
      document.execCommand("unlink");
      document.execCommand("formatBlock", false, "div");
    },
  };

  function tell() {
    for (const button of buttons) {
      const state = states[button.dataset.command];
      if (state) button.setAttribute("aria-pressed", String(current() !== null && state()));
    }
  }

  function run(name) {
    if (name !== "link") rich.focus();
    if (name in commands) commands[name]();
    else editor.dispatchEvent(new CustomEvent("command", { detail: name }));
    // What a browser leaves of its own styles is not sent, so it is not shown either.
    for (const each of rich.querySelectorAll("[style]")) each.removeAttribute("style");
    tell();
  }

  const addressOf = (id) =>
    `${IMAGES}?${new URLSearchParams({ draft: form.elements.draft.value, answered: form.elements.answered.value, cid: id })}`;

  // Images that the server has get their addresses; one that goes up has to wait.
  function draw() {
    for (const image of rich.querySelectorAll("img[data-cid]:not([src], [data-pending])")) {
      image.src = addressOf(image.dataset.cid);
    }
  }

  function openLink() {
    kept = current()?.cloneRange() ?? null;
    linkField.value = enclosing("A")?.getAttribute("href") ?? "";
    linkRow.hidden = false;
    linkField.focus();
  }

  function closeLink(target) {
    linkRow.hidden = true;
    rich.focus();
    if (kept) {
      const selection = document.getSelection();
      selection.removeAllRanges();
      selection.addRange(kept);
    }
    if (target === null) return;
    const there = enclosing("A");
    if (there) {
      const range = document.createRange();
      range.selectNodeContents(there);
      const selection = document.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
    }
    if (!target) document.execCommand("unlink");
    else if (document.getSelection().isCollapsed) {
      const link = document.createElement("a");
      link.href = target;
      link.append(target.replace(/^mailto:/i, ""));
      current()?.insertNode(link);
      document.getSelection().collapse(link, 1);
    } else document.execCommand("createLink", false, target);
    tell();
  }

  function applyLink() {
    let target = linkField.value.trim();
    if (target && !SAFE_LINK.test(target)) {
      target = /^[^\s@/:]+@[^\s@/:]+$/.test(target) ? `mailto:${target}` : `https://${target.replace(/^[a-z]+:\/*/i, "")}`;
    }
    closeLink(target);
  }

  function show(isFormatted) {
    editor.hidden = !isFormatted;
    plain.hidden = isFormatted;
    label.hidden = isFormatted;
    choice.checked = isFormatted;
    format.value = isFormatted ? "formatted" : "plain";
    if (isFormatted) rich.setAttribute("aria-label", label.textContent);
    else rich.removeAttribute("aria-label");
  }

  // toolbar: one stop of the Tab key, arrows in it. Spec: WAI-ARIA Authoring Practices, toolbar.
  buttons.forEach((button, at) => {
    button.tabIndex = at ? -1 : 0;
    button.addEventListener("mousedown", (event) => event.preventDefault()); // keeps the selection
    button.addEventListener("click", () => run(button.dataset.command));
  });
  tools.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement);
    const isLeftToRight = getComputedStyle(tools).direction === "ltr";
    const steps = { ArrowRight: isLeftToRight ? 1 : -1, ArrowLeft: isLeftToRight ? -1 : 1 };
    let next = null;
    if (event.key in steps) next = (at + steps[event.key] + buttons.length) % buttons.length;
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = buttons.length - 1;
    if (next === null) return;
    event.preventDefault();
    buttons[at].tabIndex = -1;
    buttons[next].tabIndex = 0;
    buttons[next].focus();
  });

  const keys = { "k": "link", "shift+7": "numbers", "shift+8": "list", "shift+9": "quote", "b": "bold", "i": "italic" };
  rich.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const digit = /^Digit\d$/.test(event.code) ? event.code.slice(5) : event.key.toLowerCase();
    const name = keys[`${event.shiftKey ? "shift+" : ""}${digit}`];
    if (!name) return;
    event.preventDefault();
    run(name);
  });

  linkRow.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      applyLink();
    } else if (event.key === "Escape") {
      event.preventDefault();
      closeLink(null);
    }
  });
  linkRow.querySelector("[data-apply]").addEventListener("click", applyLink);
  linkRow.querySelector("[data-remove]").addEventListener("click", () => closeLink(""));

  // Pasted and dropped: the filter first, then what is left of it; files are another's affair.
  function insert(data) {
    const found = data.getData("text/html");
    const text = data.getData("text/plain");
    if (!found && !text) return false;
    if (found) {
      // As nodes: what the browser's own command makes of HTML has styles in it.
      const made = parsed(found);
      const last = made.lastChild;
      const range = current() ?? document.createRange();
      if (!rich.contains(range.startContainer)) range.selectNodeContents(rich);
      range.deleteContents();
      range.insertNode(made);
      draw();
      if (last) document.getSelection().collapse(last, last.childNodes.length || last.length || 0);
      return true;
    }
    text.split(/\r\n?|\n/).forEach((line, at) => {
      if (at) document.execCommand("insertParagraph");
      if (line) document.execCommand("insertText", false, line);
    });
    return true;
  }
  rich.addEventListener("paste", (event) => {
    if (!event.defaultPrevented && insert(event.clipboardData)) event.preventDefault();
  });
  rich.addEventListener("drop", (event) => {
    if (event.dataTransfer.files.length || current() === null) return;
    if (insert(event.dataTransfer)) event.preventDefault();
  });

  choice.addEventListener("change", () => {
    if (choice.checked) {
      const isUntouched = plain.value === textAtFirst && html.value;
      rich.replaceChildren(isUntouched ? parsed(html.value) : lines(plain.value));
      draw();
      show(true);
      rich.focus();
    } else {
      plain.value = rich.innerText.replace(/\u00a0/g, " ").replace(/\n{3,}/g, "\n\n");
      show(false);
      plain.focus();
    }
  });

  document.addEventListener("selectionchange", () => {
    if (!editor.hidden) tell();
  });
  // Also before any other script of the page reads the form.
  form.addEventListener("formdata", (event) => {
    if (editor.hidden) return;
    const inert = document.implementation.createHTMLDocument("");
    const made = inert.createElement("div");
    made.append(filtered(rich, inert));
    event.formData.set("html", made.innerHTML);
  });

  form.addEventListener("images", draw);
  // Each upload gives the draft another id: an image that is fetched once more has to be asked for by the new one.
  rich.addEventListener(
    "error",
    ({ target }) => {
      if (target.src && target.dataset.cid && target.getAttribute("src") !== addressOf(target.dataset.cid)) {
        target.src = addressOf(target.dataset.cid);
      }
    },
    true,
  );

  document.execCommand("defaultParagraphSeparator", false, "div");
  document.execCommand("styleWithCSS", false, "false");
  toggle.hidden = false;
  if (editor.dataset.starts === "formatted") {
    rich.replaceChildren(html.value ? parsed(html.value) : lines(plain.value));
    draw();
    show(true);
  }
}

for (const editor of document.querySelectorAll("[data-editor]")) start(editor);
