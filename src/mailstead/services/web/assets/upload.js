// Files for a message, picked or dropped: each goes up by itself, with how far it is, into the draft that is kept with
// it, and images that come into its text (images.js). Without this the form takes files along. Words come from the page.
const place = document.querySelector("[data-files]");
const form = place.closest("form");
const input = place.querySelector("input[type=file]");
const underway = place.querySelector("[data-underway]");
const refused = place.querySelector("[data-refused]");
const told = place.querySelector("[data-told]");
const words = place.dataset;
const TRIES = 3; // networks change while somebody writes
const queue = [];
const attached = new Map(); // octets by name, of what went up from here
let isBusy = false;
let waiting = null; // the button that was pressed before all had gone up

const size = (octets) =>
  new Intl.NumberFormat(document.documentElement.lang, {
    style: "unit",
    unit: "megabyte",
    maximumFractionDigits: 1,
  }).format(Math.max(0, octets) / 1048576);
const say = (text, names) => text.replace(/\{(name|size)\}/g, (_, name) => names[name]);
const part = () => place.querySelector("[data-part=files]");

function refuse(text) {
  refused.textContent = text;
  refused.hidden = !text;
}

function room() {
  let left = Number(words.octetsMax) - new Blob([form.elements.text?.value ?? ""]).size;
  for (const box of part().querySelectorAll("input:checked")) {
    left -= attached.get(box.value) ?? 0;
  }
  return queue.reduce((sum, each) => sum - each.file.size, left);
}

function prepare() {
  for (const button of part().querySelectorAll("[data-remove]")) {
    button.hidden = false;
  }
}

// Say to who put an image into the text what became of it.
function settled(id, isThere) {
  if (id) {
    form.dispatchEvent(new CustomEvent("image-settled", { detail: { id, isThere } }));
  }
}

function addImage({ file, id }) {
  refuse("");
  const isOther = !words.imageTypes.split(" ").includes(file.type);
  if (isOther || file.size > Number(words.imageOctetsMax)) {
    refuse(isOther ? words.imageOther : say(words.imageTooLarge, { name: file.name, size: size(Number(words.imageOctetsMax)) }));
    settled(id, false);
    return;
  }
  add([file], id);
}

function add(files, id = "") {
  refuse("");
  for (const file of files) {
    if (file.size > room()) {
      refuse(say(words.tooLarge, { name: file.name, size: size(room()) }));
      settled(id, false);
      continue;
    }
    const row = document.createElement("li");
    const name = document.createElement("span");
    const bar = document.createElement("progress");
    const stop = document.createElement("button");
    name.textContent = file.name;
    bar.max = file.size || 1;
    bar.value = 0;
    bar.setAttribute("aria-label", file.name);
    stop.type = "button";
    stop.className = "plain";
    stop.textContent = words.stop;
    row.append(name, " ", stop, bar);
    underway.append(row);
    const job = { file, id, row, bar, request: null, tries: 0 };
    stop.addEventListener("click", () => {
      if (job.request) {
        job.request.abort();
      } else {
        queue.splice(queue.indexOf(job), 1);
        row.remove();
        settled(id, false);
      }
    });
    queue.push(job);
  }
  next();
}

function next() {
  const job = isBusy ? null : queue[0];
  if (!job) {
    if (!isBusy && waiting) {
      const button = waiting;
      waiting = null;
      form.requestSubmit(button);
    }
    return;
  }
  isBusy = true;
  const body = new FormData(form);
  body.delete("files");
  body.set("verb", "keep");
  if (job.id) {
    body.set("image_id", job.id);
  }
  body.append(job.id ? "image" : "files", job.file);
  const request = new XMLHttpRequest();
  job.request = request;
  request.upload.addEventListener("progress", (event) => {
    job.bar.max = event.total;
    job.bar.value = event.loaded;
  });
  request.addEventListener("error", () => {
    job.tries += 1;
  });
  request.addEventListener("loadend", () => {
    isBusy = false;
    if (job.tries && !request.status && job.tries < TRIES && request.readyState === XMLHttpRequest.DONE) {
      next();
      return;
    }
    queue.shift();
    job.row.remove();
    settle(job, request);
    next();
  });
  request.responseType = "document";
  request.open("POST", form.action);
  request.send(body);
}

function settle({ file, id }, request) {
  const page = request.response;
  const fresh = page?.querySelector("[data-part=files]");
  const isLoggedOut = request.responseURL && new URL(request.responseURL).pathname === "/log-in";
  if (request.status === 200 && fresh && !isLoggedOut) {
    form.elements.draft.value = page.querySelector("input[name=draft]").value;
    if (!id) {
      attached.set(file.name, file.size);
    }
    const gone = new Set([...part().querySelectorAll("input:not(:checked)")].map((each) => each.value));
    part().replaceWith(document.adoptNode(fresh));
    for (const box of part().querySelectorAll("input")) {
      box.checked = !gone.has(box.value); // also what was removed while this one went up
      box.closest("li").hidden = !box.checked;
    }
    prepare();
    told.textContent = say(id ? words.imageDone : words.done, { name: file.name });
    settled(id, true);
    return;
  }
  waiting = null;
  settled(id, false);
  if (isLoggedOut) {
    refuse(words.over);
  } else if (request.status) {
    refuse(page?.querySelector("[role=alert]:not([hidden])")?.textContent || say(words.failed, { name: file.name }));
  } else if (request.readyState === XMLHttpRequest.UNSENT) {
    // stopped by whoever writes
  } else {
    refuse(say(words.failed, { name: file.name }));
  }
}

form.addEventListener("image", (event) => addImage(event.detail));
input.addEventListener("change", () => {
  add([...input.files]);
  input.value = ""; // they do not go along once more
});
place.addEventListener("click", (event) => {
  const button = event.target.closest("[data-remove]");
  if (button) {
    const row = button.closest("li");
    row.querySelector("input").checked = false;
    row.hidden = true;
    part().hidden = !part().querySelector("li:not([hidden])");
    input.focus();
  }
});
form.addEventListener("submit", (event) => {
  if ((isBusy || queue.length) && event.submitter?.value !== "discard") {
    event.preventDefault();
    waiting = event.submitter;
  }
});

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
place.querySelector("[data-drop-help]").hidden = false;
addEventListener("dragover", (event) => {
  if (hasFiles(event)) {
    event.preventDefault(); // a file that misses must not replace what was written
    form.classList.toggle("over", form.contains(event.target));
  }
});
addEventListener("dragleave", (event) => {
  if (!form.contains(event.relatedTarget)) {
    form.classList.remove("over");
  }
});
addEventListener("drop", (event) => {
  if (hasFiles(event)) {
    const isTaken = event.defaultPrevented; // into the text
    event.preventDefault();
    form.classList.remove("over");
    if (!isTaken && form.contains(event.target)) {
      add([...event.dataTransfer.files]);
    }
  }
});
prepare();
