// Single keys on the pages of mail. What a key does stands in the page: it presses what has it as data-key. The focus
// is what is meant: j and k move it.
const WAIT_MS = 1500; // for the second key
const dialog = document.querySelector("[data-shortcuts] dialog");
const PLACE = "mail-place"; // where the focus was in a list that is left by a key
let first = "";
let timer = 0;

for (const element of document.querySelectorAll("[data-key]")) {
  if (!element.hidden || element.matches("button")) {
    element.setAttribute("aria-keyshortcuts", element.dataset.key);
  }
}
const help = document.querySelector("[data-key='?']");
help.hidden = false;
help.addEventListener("click", () => dialog.showModal());

const list = document.querySelector("[data-part=conversations]");
const rows = () => [...document.querySelectorAll("[data-part=conversations] [data-row], details.message")];
const row = () => document.activeElement?.closest("[data-part=conversations] [data-row], details.message");
const target = (one) => one?.querySelector("[data-open], summary");

function step(by) {
  const there = rows();
  const now = there.indexOf(row());
  const next = there[now < 0 ? (by > 0 ? 0 : there.length - 1) : Math.min(there.length - 1, Math.max(0, now + by))];
  target(next)?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function choose() {
  row()?.querySelector("input[type=checkbox]")?.click();
}

// Give what a key presses: in the row or message that has the focus, else the last message that is open, else the page.
function found(key) {
  const name = `[data-key="${CSS.escape(key)}"]`;
  const here = row()?.querySelector(name);
  const open = [...document.querySelectorAll("details.message[open]")].at(-1)?.querySelector(name);
  return here ?? open ?? [...document.querySelectorAll(name)].find((each) => !each.closest("details.message"));
}

function act(key) {
  if (key === "s" && list && !list.querySelector("input:checked")) {
    remember();
    row()?.querySelector("[data-star]")?.click();
    return;
  }
  const pressed = found(key);
  if (!pressed) {
    return;
  }
  if (pressed.matches("input")) {
    pressed.focus();
    pressed.select();
    return;
  }
  if (list && pressed.matches("button[name=verb]") && !list.querySelector("input:checked")) {
    if (!row()) {
      return; // nothing is meant
    }
    choose();
  }
  remember();
  pressed.click();
}

function remember() {
  const now = list ? rows().indexOf(row()) : -1;
  if (now >= 0) {
    sessionStorage.setItem(PLACE, JSON.stringify({ at: location.pathname + location.search, now }));
  }
}

document.addEventListener("keydown", (event) => {
  const at = event.target;
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || dialog.open) {
    return;
  }
  if (at.closest("textarea, select, [contenteditable], input:not([type=checkbox])")) {
    return; // somebody writes
  }
  const key = first ? `${first} ${event.key}` : event.key;
  clearTimeout(timer);
  first = "";
  if (key === "g") {
    first = key;
    timer = setTimeout(() => {
      first = "";
    }, WAIT_MS);
  } else if (key === "j" || key === "k") {
    step(key === "j" ? 1 : -1);
  } else if (key === "o") {
    target(row())?.click();
  } else if (key === "x") {
    choose();
  } else if (key === "Enter" || key === " " || key === "Tab" || !found(key)) {
    return;
  } else {
    act(key);
  }
  event.preventDefault();
});

// Behind an action the page is a new one; the focus goes back to where it was.
const place = JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
sessionStorage.removeItem(PLACE);
if (list && place) {
  const at = new URL(place.at, location.href);
  const now = new URL(location.href);
  for (const url of [at, now]) {
    url.searchParams.delete("told");
  }
  if (at.href === now.href) {
    target(rows()[Math.min(place.now, rows().length - 1)])?.focus({ preventScroll: true });
  }
}
