//! What reaches the kernel through descriptors: requests and lists as raw bytes, by numbers and
//! offsets of this file's own.

#[path = "calls/fake.rs"]
mod fake;
#[path = "calls/lists.rs"]
mod lists;
#[path = "calls/messages.rs"]
mod messages;
#[path = "calls/requests.rs"]
mod requests;
