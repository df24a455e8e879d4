// One photo dropped anywhere on the form is sent at once.

const form = document.querySelector("[data-drop-one]");
const field = form.querySelector("input[type=file]");

for (const name of ["dragenter", "dragover"]) {
  form.addEventListener(name, (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
}
form.addEventListener("dragleave", () => form.classList.remove("over"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (!file) return;
  const one = new DataTransfer();
  one.items.add(file);
  field.files = one.files;
  form.requestSubmit();
});
