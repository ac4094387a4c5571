//! Groups, as users ask for them: the current node's, typed.

use mobula_actor_core::{Actor, Group, current};

/// The group of actors of type `A` with this name, on all nodes. It exists whether anybody is in it or not.
///
/// # Panics
/// Outside a node.
///
/// # Examples
/// ```
/// use mobula::Routing;
/// use mobula::prelude::*;
///
/// pub struct Worker;
///
/// #[mobula::actor]
/// impl Worker {
///     pub fn new() -> Self { Self }
///     pub async fn started(&mut self, ctx: &mut Context<Self>) {
///         // Limits aside, an actor can always join.
///         let _ = mobula::group::<Self>("workers").join(&ctx.actor_ref()).await;
///     }
///     pub fn square(&mut self, x: u64) -> u64 { x * x }
/// }
///
/// #[mobula::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let workers = mobula::group::<Worker>("workers");
///     let _some: Vec<_> = (0..3).map(|_| Worker::remote()).collect();
///     workers.wait_until(|members| members.len() == 3).await;
///     let router = workers.router(Routing::RoundRobin);
///     let worker = router.pick().await.ok_or("nobody is there")?;
///     assert_eq!(worker.square(4).await?, 16);
///     Ok(())
/// }
/// ```
#[must_use]
pub fn group<A: Actor>(name: &str) -> Group<A> {
    Group::new(&current::expect_system(), name)
}
