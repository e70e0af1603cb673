/** What is wider inside than outside, of the parts that may not scroll sideways. */
() =>
  [...document.querySelectorAll("body, main, .messages, .messages > *, .composer, .composer > *")]
    .filter((part) => part.checkVisibility() && !part.matches(".unseen"))
    .filter((part) => part.scrollWidth > part.clientWidth + 1)
    .map((part) => `${part.className}: ${part.scrollWidth} > ${part.clientWidth}`);
