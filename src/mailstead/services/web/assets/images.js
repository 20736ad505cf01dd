// Images within formatted text: picked, pasted or dropped they stand in the text at once, and go up into its draft by
// upload.js; editor.js then shows them. Each has words for whoever does not see it. Words come from the template.
function start(editor) {
  const form = editor.closest("form");
  const rich = editor.querySelector("[contenteditable]");
  const button = editor.querySelector("[data-command=describe]");
  const row = editor.querySelector(".editor-image");
  const field = row.querySelector("input");
  const picker = editor.querySelector("[data-image]");
  let described = null; // the image that the row is about
  let before = ""; // its words when the row was opened
  let place = null; // where those that are picked go

  function current() {
    const selection = document.getSelection();
    return selection.rangeCount && rich.contains(selection.anchorNode) ? selection.getRangeAt(0) : null;
  }

  // The one image that is selected, or stands beside the cursor.
  function chosen() {
    const range = current();
    if (!range) return null;
    if (!range.collapsed) {
      const within = [...rich.querySelectorAll("img")].filter((each) => range.intersectsNode(each));
      return within.length === 1 ? within[0] : null;
    }
    const { startContainer: node, startOffset: at } = range;
    let beside = [];
    if (node.nodeType === Node.ELEMENT_NODE) beside = [node.childNodes[at - 1], node.childNodes[at]];
    else if (at === 0) beside = [node.previousSibling];
    else if (at === node.length) beside = [node.nextSibling];
    return beside.find((each) => each?.nodeName === "IMG") ?? null;
  }

  function describe(image, hasFocus) {
    close();
    described = image;
    image.dataset.described = "";
    before = field.value = image.alt;
    row.hidden = false;
    if (hasFocus) field.focus();
  }

  function close() {
    delete described?.dataset.described;
    described = null;
    row.hidden = true;
  }

  // Go back to the text, behind the image or where it was.
  function leave(isRemoved) {
    const image = described;
    close();
    rich.focus();
    if (!image?.isConnected) return;
    const range = document.createRange();
    range.setStartAfter(image);
    range.collapse(true);
    if (isRemoved) image.remove();
    const selection = document.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  }

  function apply() {
    if (described) described.alt = field.value.trim();
    leave(false);
  }

  function put(files, range, hasFocus) {
    const at = range && rich.contains(range.startContainer) ? range : document.createRange();
    if (at !== range) {
      at.selectNodeContents(rich);
      at.collapse(false);
    }
    at.deleteContents();
    for (const file of files) {
      const octets = crypto.getRandomValues(new Uint8Array(16));
      const name = Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
      const image = document.createElement("img");
      image.alt = "";
      image.dataset.cid = `${name}@${editor.dataset.imageDomain}`;
      image.dataset.pending = "";
      at.insertNode(image);
      at.setStartAfter(image);
      at.collapse(true);
      form.dispatchEvent(new CustomEvent("image", { detail: { file, id: image.dataset.cid } }));
      if (image.isConnected) describe(image, hasFocus);
    }
    const selection = document.getSelection();
    if (document.activeElement === rich) {
      selection.removeAllRanges();
      selection.addRange(at);
    }
  }

  editor.addEventListener("command", (event) => {
    if (event.detail === "image") {
      place = current()?.cloneRange() ?? null;
      picker.click();
    } else if (event.detail === "describe") {
      const image = chosen();
      if (image) describe(image, true);
    }
  });
  picker.addEventListener("change", () => {
    put([...picker.files], place, true);
    picker.value = "";
  });

  // Before editor.js, which takes what else is pasted. Where text comes along, as from tables, the image is only a
  // picture of it.
  const images = (data) => [...data.files].filter((each) => each.type.startsWith("image/"));
  rich.addEventListener(
    "paste",
    (event) => {
      const found = images(event.clipboardData);
      if (found.length && !event.clipboardData.getData("text/plain").trim()) {
        event.preventDefault();
        put(found, current(), false);
      }
    },
    true,
  );
  // With other files among them all are attached.
  rich.addEventListener(
    "drop",
    (event) => {
      const found = images(event.dataTransfer);
      if (found.length && found.length === event.dataTransfer.files.length) {
        event.preventDefault();
        put(found, dropped(event), false);
      }
    },
    true,
  );

  function dropped(event) {
    const spot = document.caretPositionFromPoint?.(event.clientX, event.clientY);
    if (!spot) return document.caretRangeFromPoint?.(event.clientX, event.clientY) ?? current();
    const range = document.createRange();
    range.setStart(spot.offsetNode, spot.offset);
    return range;
  }

  form.addEventListener("image-settled", (event) => {
    const { id, isThere } = event.detail;
    for (const image of rich.querySelectorAll("img[data-pending]")) {
      if (image.dataset.cid !== id) continue;
      if (isThere) delete image.dataset.pending;
      else if (image === described) leave(true);
      else image.remove();
    }
    form.dispatchEvent(new Event("images"));
  });

  rich.addEventListener("click", (event) => {
    if (event.target.nodeName === "IMG") describe(event.target, false);
    else close();
  });
  row.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target === field) {
      event.preventDefault();
      apply();
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (described) described.alt = before;
      leave(false);
    }
  });
  // What was typed counts, also where somebody goes on to "Send" at once.
  field.addEventListener("input", () => {
    if (described) described.alt = field.value.trim();
  });
  row.querySelector("[data-apply]").addEventListener("click", apply);
  row.querySelector("[data-remove]").addEventListener("click", () => leave(true));
  document.addEventListener("selectionchange", () => {
    if (!editor.hidden) button.setAttribute("aria-disabled", String(chosen() === null));
  });
}

for (const editor of document.querySelectorAll("[data-editor]")) start(editor);
