// Pages that change by themselves: listens to what happens in the account, and if it concerns what the page shows, puts
// its parts into it anew, those that stay as they are untouched. Forms to write in stand outside of the parts. Of all
// windows of one browser one listens, and tells the others: a browser opens few lines to a server. Words come from the
// page.
const news = document.getElementById("news");
const again = document.querySelector("[data-again]");
const FIRST_S = 1;
const LONGEST_S = 60;
const GATHER_MS = 200; // what comes together is fetched together
const shows = news.dataset.shows.split(" ");
const channel = `news ${news.dataset.account}`;
const others = "BroadcastChannel" in self ? new BroadcastChannel(channel) : null;
let line = null; // of this window: what ends it
let wakeUp = null; // ends the wait for the next try

// the page

const contents = (row) => {
  const copy = row.cloneNode(true);
  for (const time of copy.querySelectorAll("time")) {
    time.textContent = "";
    time.removeAttribute("title");
  }
  return `${row.className.replace(" dragged", "")} ${copy.innerHTML}`;
};

function swapRows(list, fresh) {
  const active = document.activeElement;
  const row = active && list.contains(active) ? active.closest("[data-row]") : null;
  const place = row ? [...row.querySelectorAll("a, button, input")].indexOf(active) : -1;
  const before = new Map([...list.querySelectorAll("[data-row]")].map((each) => [each.dataset.row, each]));
  const rows = [...fresh.querySelectorAll("[data-row]")].map((each) => {
    const old = before.get(each.dataset.row);
    if (old && contents(old) === contents(each)) {
      return old;
    }
    const box = each.querySelector("input[type=checkbox]");
    if (old && box) {
      box.checked = old.querySelector("input[type=checkbox]").checked;
    }
    return document.adoptNode(each);
  });
  for (let index = 0; index < rows.length; index += 1) {
    if (list.children[index] !== rows[index]) {
      list.insertBefore(rows[index], list.children[index] || null);
    }
  }
  while (list.children.length > rows.length) {
    list.lastElementChild.remove();
  }
  list.hidden = fresh.hidden;
  if (row && document.activeElement !== active) {
    const now = rows.find((each) => each.dataset.row === row.dataset.row);
    now?.querySelectorAll("a, button, input")[place]?.focus({ preventScroll: true });
  }
  list.dispatchEvent(new CustomEvent("shown", { bubbles: true }));
}

const reachable = (part) => [...part.querySelectorAll("a[href], button, input, select")];
const nameOf = (each) => each.getAttribute("href") ?? `${each.form?.getAttribute("action")} ${each.name} ${each.value}`;
const named = (part, name) => reachable(part).filter((each) => nameOf(each) === name);

// Puts a part that has no rows in place of what it was. What had the focus or was ticked is so again, where it is still
// there.
function swap(part, fresh) {
  if (part.innerHTML === fresh.innerHTML) {
    return;
  }
  const active = part.contains(document.activeElement) ? document.activeElement : null;
  const name = active && nameOf(active); // asked before it leaves the page, and with it its form
  const place = active ? named(part, name).indexOf(active) : -1;
  const ticks = reachable(part).filter((each) => each.checked !== each.defaultChecked);
  const ticked = ticks.map((each) => [nameOf(each), each.checked]);
  part.replaceChildren(...fresh.childNodes);
  for (const [box, isChecked] of ticked) {
    for (const each of named(part, box)) {
      each.checked = isChecked;
    }
  }
  named(part, name)[place]?.focus({ preventScroll: true });
  part.dispatchEvent(new CustomEvent("shown", { bubbles: true }));
}

function put(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const part of document.querySelectorAll("[data-part]")) {
    const now = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
    if (!now) {
      continue;
    }
    if (part.querySelector("[data-row]") || now.querySelector("[data-row]")) {
      swapRows(part, now);
    } else {
      swap(part, now);
    }
    if (now.dataset.title) {
      document.title = now.dataset.title;
    }
  }
  const bar = document.querySelector("[data-bar]");
  const list = document.querySelector("[data-part=conversations]");
  if (bar && list) {
    bar.hidden = list.hidden;
  }
}

let timer = 0;
let isLooking = false;
let isAsked = false;

function look() {
  clearTimeout(timer);
  timer = setTimeout(fetchParts, GATHER_MS);
}

const isDragging = () => document.querySelector(".dragged") !== null;

async function fetchParts() {
  if (!document.querySelector("[data-part]")) {
    return;
  }
  if (isLooking || isDragging()) {
    isAsked = true;
    return;
  }
  isLooking = true;
  try {
    const answer = await fetch(location.href, { headers: { "x-part": "yes" }, redirect: "manual" });
    if (answer.type === "opaqueredirect") {
      over();
    } else if (answer.ok) {
      const text = await answer.text();
      if (isDragging()) {
        isAsked = true; // begun meanwhile
      } else {
        put(text);
      }
    }
  } catch {
    // no line just now: the next connection looks again
  } finally {
    isLooking = false;
  }
  if (isAsked) {
    isAsked = false;
    look();
  }
}

// Where mail is read, new mail is announced; of all else nothing is said.
function announce({ count, arrivals }) {
  const told = news.querySelector("[data-told]");
  if (!told) {
    return;
  }
  if (count === 1 && arrivals.length) {
    const words = { sender: arrivals[0].from, subject: arrivals[0].subject };
    told.textContent = news.dataset.one.replace(/\{(sender|subject)\}/g, (_, name) => words[name]);
  } else if (count) {
    told.textContent = news.dataset.many.replace("{count}", count);
  }
}

function hear(message) {
  if (message.kind === "news") {
    announce(message.data);
    if (message.data.kinds.some((each) => shows.includes(each))) {
      look();
    }
  } else if (message.kind === "look") {
    look();
  } else if (message.kind === "state") {
    if (message.isLive && news.dataset.state !== "live") {
      look(); // for what came before this window heard of it
    }
    show(message.isLive);
  } else if (message.kind === "over") {
    over();
  }
}

function show(isLive) {
  news.dataset.state = isLive ? "live" : "waiting";
  if (again) {
    again.hidden = isLive; // while nothing comes by itself, one can look
  }
}

function over() {
  line?.abort();
  news.dataset.state = "over";
  news.querySelector("[data-ended]").hidden = false;
}

// the line

const tell = (message) => {
  hear(message);
  others?.postMessage(message);
};

async function listen() {
  let wait_s = FIRST_S;
  while (news.dataset.state !== "over" && line) {
    const begun = Date.now();
    const isOver = await once();
    if (isOver || !line) {
      return;
    }
    tell({ kind: "state", isLive: false });
    wait_s = Date.now() - begun > 10000 ? FIRST_S : Math.min(LONGEST_S, wait_s * 2);
    await new Promise((resolve) => {
      wakeUp = resolve;
      setTimeout(resolve, wait_s * 1000 * (0.5 + Math.random() / 2)); // not all at once behind a restart
    });
  }
}

// Listen until the line breaks; true: the session is over.
async function once() {
  try {
    const answer = await fetch(news.dataset.events, {
      headers: { accept: "text/event-stream" },
      redirect: "manual",
      signal: line.signal,
    });
    if (answer.type === "opaqueredirect" || answer.status === 403) {
      tell({ kind: "over" });
      return true;
    }
    if (!answer.ok) {
      return false;
    }
    tell({ kind: "state", isLive: true });
    tell({ kind: "look" }); // for what came while nobody listened
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) {
        return false;
      }
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) {
        const found = /^event: news\ndata: (.*)$/.exec(event);
        if (found) {
          tell({ kind: "news", data: JSON.parse(found[1]) });
        }
      }
    }
  } catch {
    return false; // broken, or ended by us
  }
}

function begin() {
  if (line || news.dataset.state === "over") {
    return;
  }
  line = new AbortController();
  const { signal } = line;
  if (navigator.locks) {
    navigator.locks.request(channel, { signal }, listen).catch(() => {});
  } else {
    listen();
  }
}

function end() {
  line?.abort();
  line = null;
  wakeUp?.();
}

others?.addEventListener("message", ({ data }) => {
  if (data.kind === "who") {
    if (news.dataset.state === "live") {
      others.postMessage({ kind: "state", isLive: true });
    }
  } else {
    hear(data);
  }
});
document.addEventListener("dragend", () => isAsked && look());
addEventListener("online", () => wakeUp?.());
addEventListener("pagehide", end);
addEventListener("pageshow", (event) => {
  if (event.persisted) {
    begin();
    look();
  }
});
begin();
others?.postMessage({ kind: "who" });
