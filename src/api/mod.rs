//! What the running agent offers other programs: a unix socket, one JSON object a line.
//!
//! | limit | value | beyond it |
//! |---|---|---|
//! | connections | [`socket::CONNECTIONS_MAX`] | the next is told so and closed |
//! | bytes of a line | [`wire::LINE_MAX`] | an error, and the connection is closed |
//! | requests of one connection | one at a time | later lines wait in the kernel's buffer |
//! | written requests that wait for the agent | `pipeline`'s desk | an error |
//! | silence | [`socket::IDLE`] | the connection is closed |
//! | a reader that takes nothing | [`socket::STUCK`] | the connection is closed; what was asked is still done |
//!
//! Types of the wire live here and nowhere else.

pub mod client;
pub mod peer;
pub mod place;
pub mod socket;
pub mod wire;

pub use client::Client;
pub use socket::{Agent, Socket};
