// Conversations dragged to a folder: chooses them, and presses the form's own button. The form is the way for all others.
const form = document.getElementById("chosen");
const folders = document.querySelector("[data-part=folders]");
const TYPE = "application/x-conversations";

function prepare() {
  for (const row of form.querySelectorAll("[data-row]")) {
    row.draggable = true;
  }
}

form.addEventListener("dragstart", (event) => {
  const row = event.target.closest?.("[data-row]");
  if (!row) {
    return;
  }
  const box = row.querySelector("input[type=checkbox]");
  if (!box.checked) {
    for (const each of form.querySelectorAll("[data-row] input:checked")) {
      each.checked = false;
    }
    box.checked = true;
  }
  for (const each of form.querySelectorAll("[data-row] input:checked")) {
    each.closest("[data-row]").classList.add("dragged");
  }
  form.dispatchEvent(new CustomEvent("shown"));
  event.dataTransfer.setData(TYPE, "");
  event.dataTransfer.effectAllowed = "move";
});
form.addEventListener("dragend", () => {
  for (const each of form.querySelectorAll(".dragged")) {
    each.classList.remove("dragged");
  }
});

const folder = (event) => (event.dataTransfer.types.includes(TYPE) ? event.target.closest("[data-folder]") : null);
const leave = () => folders.querySelector(".over")?.classList.remove("over");

folders.addEventListener("dragover", (event) => {
  const at = folder(event);
  leave();
  if (at && !at.querySelector("[aria-current]")) {
    event.preventDefault();
    event.dataTransfer.dropEffect = "move";
    at.classList.add("over");
  }
});
folders.addEventListener("dragleave", leave);
folders.addEventListener("drop", (event) => {
  const at = folder(event);
  leave();
  if (at) {
    event.preventDefault();
    form.elements.folder.value = at.dataset.folder;
    form.requestSubmit(form.querySelector("[data-move]"));
  }
});
document.addEventListener("shown", prepare);
prepare();
