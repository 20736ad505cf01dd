// Choosing in a list: all of the page by one box, a range with Shift, and how many are chosen.
const form = document.getElementById("chosen");
const all = form.querySelector("[data-all]");
const link = form.querySelector("[data-all-link]");
const told = form.querySelector("[data-chosen]");
const box = all.querySelector("input");
const boxes = () => [...form.querySelectorAll("[data-row] input[type=checkbox]")];
let last = null;

function show() {
  const there = boxes();
  const count = there.filter((each) => each.checked).length;
  box.checked = count > 0 && count === there.length;
  box.indeterminate = count > 0 && count < there.length;
  told.textContent = count ? told.dataset.words.replace("{count}", count) : "";
}

all.hidden = false;
link.hidden = true;
box.addEventListener("change", () => {
  for (const each of boxes()) {
    each.checked = box.checked;
  }
  show();
});
form.addEventListener("click", (event) => {
  if (!event.target.matches("[data-row] input[type=checkbox]")) {
    return;
  }
  const there = boxes();
  if (event.shiftKey && there.includes(last)) {
    const [from, to] = [there.indexOf(last), there.indexOf(event.target)].sort((one, two) => one - two);
    for (const each of there.slice(from, to + 1)) {
      each.checked = event.target.checked;
    }
  }
  last = event.target;
  show();
});
form.addEventListener("shown", show);
addEventListener("pageshow", show); // browsers remember boxes
show();
