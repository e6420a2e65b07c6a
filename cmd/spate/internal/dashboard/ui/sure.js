// A question before something that cannot be taken back.

const dialog = document.getElementById("sure");
const $ = (name) => dialog.querySelector(`[data-part="${name}"]`);
let answer = () => {};

function end(said) {
  answer(said);
  dialog.close();
}

$("no").addEventListener("click", () => end(false));
$("yes").addEventListener("click", () => end(true));
// Escape. The event comes some time after the dialog is closed: the next question may be open by then, and is not answered.
dialog.addEventListener("close", () => dialog.open || answer(false));

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
