//! English: every word and phrase that the reading knows. Another language is another file of the same names.

mod conditions;
mod courtesy;
mod refusals;
mod requests;
mod things;
mod verbs;

pub(super) use conditions::*;
pub(super) use courtesy::*;
pub(super) use refusals::*;
pub(super) use requests::*;
pub(super) use things::*;
pub(super) use verbs::*;
