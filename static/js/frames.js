/**
 * The shapes of protocol 1, as the page reads them. Types only: nothing here runs.
 *
 * @typedef {"visitor" | "assistant" | "agent"} Role
 * @typedef {"final" | "streaming" | "stopped" | "interrupted" | "failed" | "blocked" | "hidden"} MessageStatus
 * @typedef {"open" | "with_agent" | "closed"} ConversationStatus
 *
 * @typedef {object} Message
 * @property {string} id
 * @property {string | null} turn_id the turn that wrote it
 * @property {number | null} position null only for the running answer before anything of it is visible
 * @property {Role} role
 * @property {string} text
 * @property {MessageStatus} status
 * @property {string | null} created_at RFC 3339; null only for the running answer
 * @property {string | null} replaces id of the answer it stands in for
 * @property {1 | -1 | null} rating
 * @property {number | null} version
 *
 * @typedef {{id: string, status: ConversationStatus, title: string}} Conversation
 * @typedef {{slug: string, name: string, greeting: string, starters: string[]}} Assistant
 * @typedef {{id: string, title: string, status: ConversationStatus, last_message_at: string, last_line: string}} ConversationLine
 *
 * @typedef {object} ReadyFrame
 * @property {"ready"} type
 * @property {number} protocol
 * @property {{id: string, token: string}} visitor
 * @property {Assistant} assistant
 * @property {{message_max_chars: number}} limits
 * @property {Conversation | null} conversation
 * @property {Message[]} messages
 * @property {boolean} more
 * @property {{id: string, message_id: string, position: number | null, replaces: string | null, text: string} | null} turn
 *
 * @typedef {{type: "message.saved", id: string, message: Message, conversation: Conversation}} SavedFrame
 * @typedef {{type: "message.added" | "message.changed", message: Message}} MessageFrame
 * @typedef {{type: "messages", items: Message[], more: boolean}} MessagesFrame
 * @typedef {{type: "conversations", items: ConversationLine[], more: boolean}} ConversationsFrame
 * @typedef {{type: "turn.started", turn_id: string, message_id: string, replaces: string | null}} StartedFrame
 * @typedef {{type: "turn.delta", turn_id: string, at: number, text: string, position?: number}} DeltaFrame
 * @typedef {{type: "turn.finished", turn_id: string, status: string, message: Message}} FinishedFrame
 * @typedef {{type: "error", code: string, text: string, retry_after_s?: number, ref?: string, id?: string, turn_id?: string}} ErrorFrame
 * @typedef {{type: "draining", reconnect_after_ms: number}} DrainingFrame
 * @typedef {{type: "pong"}} PongFrame
 *
 * @typedef {ReadyFrame | SavedFrame | MessageFrame | MessagesFrame | ConversationsFrame | StartedFrame
 *   | DeltaFrame | FinishedFrame | ErrorFrame | DrainingFrame | PongFrame} ServerFrame
 */

export {};
