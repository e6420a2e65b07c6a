// A question before something that cannot be taken back.

const dialog = document.getElementById("sure");
const $ = (name) => dialog.querySelector(`[data-part="${name}"]`);
let answer = () => {};

$("no").addEventListener("click", () => dialog.close());
$("yes").addEventListener("click", () => {
  answer(true);
  dialog.close();
});
dialog.addEventListener("close", () => answer(false)); // again to no effect

// sure asks, and resolves to whether it is to be done.
export function sure(question, what, yes) {
  $("question").textContent = question;
  $("what").textContent = what;
  $("yes").textContent = yes;
  return new Promise((done) => {
    answer = done;
    dialog.showModal();
    $("no").focus();
  });
}
