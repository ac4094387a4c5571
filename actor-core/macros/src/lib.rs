//! The macros of mobula: `#[actor]`, `#[task]`, `#[derive(Message)]`, `#[main]`, `#[test]`.
//!
//! A macro is code that nobody reads until it is wrong. The simple answer, to generate whatever
//! works, leaves users with types they cannot name and errors they cannot place. So one rule: a
//! macro writes only what a user could have written by hand, each macro's documentation shows that
//! text, every error points at the user's own token and says what to write instead, and everything
//! generated names our items by full paths under `::mobula::__macro`, so that no import is needed.
//!
//! Reading order: [`actor`] and [`task`] each parse their item into a small model and print parts
//! from it; [`signature`] holds what both demand of parameters, [`reply`] how a return type is read.

#![expect(
    rustdoc::private_intra_doc_links,
    reason = "the index of a proc-macro crate is for its own readers: it can export no modules"
)]

mod actor;
mod task;
mod message;
mod handler;
mod wire;
mod entry;
mod signature;
mod reply;
mod builders;
mod options;
mod names;
mod lints;
mod refusals;
#[cfg(test)]
mod expansion;

use proc_macro::TokenStream;

/// Makes the methods of an `impl` block callable through a reference.
///
/// The `impl` block stays as written. Beside it the macro writes, for `impl Counter`:
///
/// | item | what it is |
/// |---|---|
/// | `impl Actor for Counter` | the mode, the name, the hooks |
/// | `CounterCalls` | one method per `pub` method with `self`; `ActorRef<Counter>` derefs to it |
/// | `CounterNext` | the message of `next`, for those who want to name it |
/// | `impl Handler<CounterNext> for Counter` | runs the method |
/// | `Counter::remote(…)`, `Counter::options()`, `CounterOptions` | start the actor |
///
/// ```
/// # use mobula::prelude::*;
/// pub struct Counter { count: u64 }
///
/// #[mobula::actor]
/// impl Counter {
///     pub fn new(start: u64) -> Self { Self { count: start } }
///     /// Adds `by`, and returns the sum.
///     pub fn add(&mut self, by: u64) -> u64 { self.count += by; self.count }
/// }
///
/// # #[mobula::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let counter = Counter::remote(0);
/// let sum = counter.add(2).await?;
/// # assert_eq!(sum, 2);
/// # Ok(())
/// # }
/// ```
///
/// becomes (shortened: every path is full, and `MethodTag` has a few more items)
///
/// ```text
/// impl Actor for Counter { type Mode = Exclusive; type Calls = CounterCalls; const NAME: &'static str = "Counter"; }
///
/// pub struct CounterCalls { address: Address<Counter> }
/// impl CounterCalls {
///     /// Adds `by`, and returns the sum.
///     pub fn add(&self, by: impl IntoArg<u64>) -> Call<'_, Counter, CounterAdd> {
///         Call::method(&self.address, (by.into_arg(),))
///     }
/// }
///
/// pub enum CounterAddTag<A> { … }                       // never built: it only names the method
/// impl MethodTag for CounterAddTag<Counter> { type Args = (u64,); type Reply = u64; … }
/// pub type CounterAdd = Method<CounterAddTag<Counter>>;
/// impl Handler<CounterAdd> for Counter { … Self::add(self, args.0) … }
///
/// impl Counter {
///     pub fn remote(start: u64) -> ActorRef<Self> { Self::options().remote(start) }
///     pub fn options() -> CounterOptions<Once> { … }
/// }
/// ```
///
/// # Options
/// - `#[actor(local)]`: the actor lives on one thread and need not be `Send`.
/// - `#[actor(max_concurrency = 4)]`: up to four calls at a time; methods take `&self`.
/// - `#[actor(max_task_retries = 2)]`: every call is repeated up to twice when the actor was restarted;
///   arguments must be `Clone`.
/// - `#[actor(name = "counter")]`: the type's name in listings and errors.
/// - `#[actor(key = "bank")]`: what other builds know the actor by, in place of its module's path: keep it when the actor
///   moves, and nodes of the old build and the new one go on understanding each other.
///
/// # Inside the block
/// - `pub` methods with `&self` or `&mut self`, sync or async, are calls. Others stay private matters.
/// - A parameter `ctx: &mut Context<Self>` is recognised by its type and is no argument of the call.
/// - `-> Result<T, E>`: the asker gets `T`, or `AskError::Refused` with the `E`.
/// - `-> Deferred<R>`: the method answers later, see `Context::defer`.
/// - `started`, `stopping`, `down` are hooks.
/// - `new`, or the only other `pub fn` that returns `Self`, or the one marked `#[constructor]`, is the
///   constructor: `Self` or `Result<Self, E>`, sync or async.
/// - `#[method(max_retries = 5, retry_errors)]` sets defaults for one call.
#[proc_macro_attribute]
pub fn actor(arguments: TokenStream, item: TokenStream) -> TokenStream {
    actor::expand(arguments.into(), item.into()).into()
}

/// Makes a function a task: `multiply(x, y)` stays a plain call, `multiply::remote(x, y)` runs it on
/// the cluster and returns an `ObjectRef` at once.
///
/// The function stays as written. Beside it the macro writes a module of the same name (functions and
/// modules have separate name spaces) with `remote`, `options` and `bind`:
///
/// ```
/// # use mobula::prelude::*;
/// # use std::num::TryFromIntError as ShapeError;
/// # type Matrix = Vec<f64>;
/// #[mobula::task(num_cpus = 1.0, max_retries = 3)]
/// fn multiply(x: Matrix, y: Matrix) -> Result<Matrix, ShapeError> {
///     Ok(x.iter().zip(&y).map(|(x, y)| x * y).collect())
/// }
///
/// # #[mobula::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (x, y) = (mobula::put(vec![2.0]).await?, mobula::put(vec![3.0]).await?);
/// let z: ObjectRef<Matrix> = multiply::remote(&x, &y);
/// # assert_eq!(*z.get().await?, [6.0]);
/// # Ok(())
/// # }
/// ```
///
/// becomes (shortened)
///
/// ```text
/// mod multiply {
///     pub(super) enum Function {}                       // as visible as the function
///     pub fn remote(x: impl IntoArg<Matrix>, y: impl IntoArg<Matrix>) -> ObjectRef<Matrix> {
///         submit::<Function>(Function::defaults(), (x.into_arg(), y.into_arg()))
///     }
///     pub fn options() -> Options { … }
///     pub fn bind(x: impl IntoBound<Matrix>, y: impl IntoBound<Matrix>) -> Bound<Matrix> { … }
/// }
/// impl TaskFunction for multiply::Function {
///     type Args = (Matrix, Matrix);
///     type Output = Matrix;
///     const NAME: &'static str = concat!(module_path!(), "::multiply");
///     const VERSION: u32 = 1;
///     const SIGNATURE: &'static str = "fn(Matrix, Matrix) -> Result<Matrix, ShapeError>";
///     fn defaults() -> TaskOptions { TaskOptions::new().num_cpus(1.0).max_retries(3) }
///     fn run(args: Self::Args) -> Body<Matrix> {
///         Body::sync(move || multiply(args.0, args.1).map_err(UserError::from_user))
///     }
/// }
/// inventory::submit! { FunctionEntry::of::<multiply::Function>() }
/// ```
///
/// # Options
/// `num_cpus = 1.0`, `memory = bytes`, `resource("gpu", 1.0)` (repeatable), `max_retries = 3`, `retry_errors` (repeat after
/// the function's own error, too), `name = "…"` (the wire name, instead of the path), `version = 1`,
/// `num_returns = 2` (a tuple becomes that many references).
#[proc_macro_attribute]
pub fn task(arguments: TokenStream, item: TokenStream) -> TokenStream {
    task::expand(arguments.into(), item.into()).into()
}

/// Implements `Message` for a struct or enum.
///
/// ```
/// # use mobula::Message;
/// # use std::num::TryFromIntError as Overflow;
/// #[derive(Message)]
/// #[message(reply = Result<u64, Overflow>)]
/// struct Add(u64);
/// # assert_eq!(Add::NAME, "Add");
/// ```
///
/// becomes (shortened)
///
/// ```text
/// impl Message for Add {
///     type Reply = Result<u64, Overflow>;
///     type Value = u64;
///     type Refusal = Overflow;
///     const NAME: &'static str = "Add";
///     fn into_result(reply: Self::Reply) -> Result<u64, Overflow> { reply }
///     fn refusal_text(refusal: &Overflow) -> String { … }
/// }
/// ```
///
/// # Options
/// `reply = Type` (default `()`), `name = "…"` (default: the type's name).
#[proc_macro_derive(Message, attributes(message))]
pub fn message(item: TokenStream) -> TokenStream {
    message::expand(item.into()).into()
}

/// Lets other nodes reach a handler that was written by hand. Methods of `#[actor]` need nothing.
///
/// ```
/// # use mobula::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # pub struct Counter(u64);
/// # #[mobula::actor]
/// # impl Counter { pub fn new() -> Self { Self(0) } }
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(reply = u64)]
/// struct Add(u64);
///
/// #[mobula::handler]
/// impl Handler<Add> for Counter {
///     async fn handle(&mut self, add: Add, _: &mut Context<Self>) -> u64 {
///         self.0 += add.0;
///         self.0
///     }
/// }
/// ```
///
/// becomes the block as written, and
///
/// ```text
/// inventory::submit! { HandlerEntry::of::<Counter, Add>() }
/// ```
#[proc_macro_attribute]
pub fn handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(&arguments.into(), item.into()).into()
}

/// Starts a node and runs the function as its driver.
///
/// ```
/// # use mobula::Node;
/// #[mobula::main]
/// async fn main(node: Node) -> Result<(), Box<dyn std::error::Error>> {
///     assert_eq!(node.status().dead_letters, 0);
///     Ok(())
/// }
/// ```
///
/// becomes
///
/// ```text
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     async fn main(node: Node) -> Result<(), Box<dyn std::error::Error>> { … }
///     ::mobula::__macro::run_main(MainOptions::new(), main)
/// }
/// ```
///
/// # Options
/// `workers = n` (threads of the executor), `arbiters = n` (threads for pinned actors). The parameter
/// `node: Node` may be left out.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand_main(arguments.into(), item.into()).into()
}

/// Runs an async test on a node of its own, on one thread and in virtual time.
///
/// ```
/// # use mobula::Node;
/// #[mobula::test]
/// async fn counts(node: Node) {
///     assert_eq!(node.status().unfinished_tasks, 0);
/// }
/// ```
///
/// becomes
///
/// ```text
/// #[test]
/// fn counts() {
///     async fn counts(node: Node) { … }
///     ::mobula::__macro::run_test(counts)
/// }
/// ```
///
/// The parameter `node: Node` may be left out; `#[should_panic]` and `#[ignore]` work as usual.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand_test(arguments.into(), item.into()).into()
}
