// The place for messages on the test page.

export const labels = { copy: "Copy", copied: "Copied", code: "Code", opensHost: (host) => `Opens ${host}` };

export function newContainer() {
  const container = document.createElement("div");
  container.className = "answer";
  document.getElementById("messages").append(container);
  return container;
}
