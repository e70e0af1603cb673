// Work whose cost the tests take.

import { labels, newContainer } from "./messages.js";
import { MarkupStream } from "/static/js/markup.js";

const TYPICAL = `## Exchange

Yes, you can exchange it **free of charge** within *60 days*. See [our returns](https://shop.example/returns).

1. Open the page and enter your order number, for example \`NW-48213\`.
2. Choose **the size** and print the label.
   - No printer? Pick the QR code.

| Size | Chest |
|------|------:|
| S | 92 cm |
| M | 98 cm |

\`\`\`py
print("a line of code")
\`\`\`

这款冲锋衣**偏瘦**，建议您选大一码。我们七天内免费换货。

`;

const answers = new Map();

/** Begin an answer of at least this many characters, to which `growAnswer` adds. */
export function startAnswer(size) {
  const container = newContainer();
  const stream = new MarkupStream(container, { labels });
  stream.append(TYPICAL.repeat(Math.ceil(size / TYPICAL.length)));
  answers.set(size, { container, stream });
}

/** Add some deltas of four characters to an answer. @returns {number} how many */
export function growAnswer(size, { withLayout }) {
  const { container, stream } = answers.get(size);
  const before = stream.text.length;
  for (let at = 0; at < TYPICAL.length; at += 4) {
    stream.append(TYPICAL.slice(at, at + 4));
    if (withLayout) container.getBoundingClientRect();
  }
  return (stream.text.length - before) / 4;
}

/** Show a text that begins with `start` and goes on with `piece`, over and over, up to a size, in deltas. */
export function storm(start, piece, size, delta) {
  const text = start + piece.repeat(Math.ceil(size / piece.length)).slice(0, size);
  const stream = new MarkupStream(document.createElement("div"), { labels });
  for (let at = 0; at < text.length; at += delta) stream.append(text.slice(at, at + delta));
  stream.finish();
}
