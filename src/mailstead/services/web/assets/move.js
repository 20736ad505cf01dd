// Events dragged to another day, on the grid of hours also to another hour. What is simple is kept at once; for what comes
// again or has guests the page of the event opens, with the new time in it. That page is the way for all others.
const form = document.getElementById("move");
const TYPE = "application/x-event";
const DAY_MIN = 1440;
const SLOT_MIN = 30;
let dragged = null; // the event, and where it was taken

const movable = (event) => event.target.closest?.("[data-move], [data-asks]");

// The day under the pointer, and which half hour of its grid.
function placeOf(event) {
  const day = event.target.closest?.("[data-on]");
  if (!day) {
    return null;
  }
  const slots = event.target.closest(".slots");
  const box = slots?.getBoundingClientRect();
  const slot = slots && Math.floor(((event.clientY - box.top) / box.height) * Number(slots.dataset.count));
  return { day, slot: slots ? slot : null };
}

function minutesTo({ day, slot }) {
  const days = Math.round((Date.parse(day.dataset.on) - Date.parse(dragged.from.day.dataset.on)) / (DAY_MIN * 60000));
  const isOnGrid = slot !== null && dragged.from.slot !== null;
  return days * DAY_MIN + (isOnGrid ? (slot - dragged.from.slot) * SLOT_MIN : 0);
}

function leave() {
  document.querySelector(".over")?.classList.remove("over");
}

document.addEventListener("dragstart", (event) => {
  const chip = movable(event);
  const from = chip && placeOf(event);
  if (!from) {
    return;
  }
  dragged = { chip, from };
  chip.classList.add("dragged");
  event.dataTransfer.setData(TYPE, "");
  event.dataTransfer.effectAllowed = "move";
});
document.addEventListener("dragend", () => {
  dragged?.chip.classList.remove("dragged");
  dragged = null;
  leave();
});
document.addEventListener("dragover", (event) => {
  const place = dragged && placeOf(event);
  leave();
  if (place) {
    event.preventDefault();
    event.dataTransfer.dropEffect = "move";
    place.day.classList.add("over");
  }
});
document.addEventListener("drop", (event) => {
  const place = dragged && placeOf(event);
  if (!place) {
    return;
  }
  event.preventDefault();
  const by = minutesTo(place);
  const { move, etag, asks } = dragged.chip.dataset;
  if (!by) {
    return;
  }
  if (asks) {
    location.assign(asks + by);
  } else {
    form.action = move;
    form.elements.etag.value = etag;
    form.elements.by.value = by;
    form.submit();
  }
});
