// The form of a contact: a photograph from a camera is made small before it is sent, and loses what it tells of places.
const SIDE = 512;
const field = document.getElementById("photo");

field?.addEventListener("change", async () => {
  const [file] = field.files;
  if (!file || file.type === "image/gif") return;
  try {
    const image = await createImageBitmap(file);
    const scale = Math.min(1, SIDE / Math.max(image.width, image.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(image.width * scale));
    canvas.height = Math.max(1, Math.round(image.height * scale));
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    const type = file.type === "image/png" ? "image/png" : "image/jpeg";
    const blob = await new Promise((done) => canvas.toBlob(done, type, 0.9));
    if (!blob) return;
    const files = new DataTransfer();
    files.items.add(new File([blob], file.name, { type }));
    field.files = files.files;
  } catch {
    // It is no image that this browser knows: the server says what it takes.
  }
});
