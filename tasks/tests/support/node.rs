//! A node of floor, store and tasks, without the facade; and task functions without the macro.

use std::{future::Future, sync::Arc};

use mobula_actor_core::{Current, System, current::Scoped, scope};
use mobula_store::{Store, StoreConfig};
use mobula_tasks::{Scheduler, SchedulerConfig};

/// The parts of a node that tasks need.
#[allow(dead_code, reason = "each test program uses some of these")]
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) system: System,
    pub(crate) store: Arc<Store>,
    pub(crate) scheduler: Arc<Scheduler>,
}

#[allow(dead_code, reason = "each test program uses some of these")]
impl Node {
    pub(crate) fn new(config: SchedulerConfig) -> Self {
        Self::with_store(config, StoreConfig::default())
    }

    pub(crate) fn with_store(config: SchedulerConfig, store: StoreConfig) -> Self {
        let system = System::builder().build();
        let store = Arc::new(Store::new(store));
        system.set_extension(Arc::clone(&store));
        let scheduler = Scheduler::try_new(system.clone(), Arc::clone(&store), config).unwrap();
        let scheduler = Arc::new(scheduler);
        system.set_extension(Arc::clone(&scheduler));
        Self { system, store, scheduler }
    }

    /// Runs `driver` as a program of this node.
    pub(crate) fn enter<F: Future>(&self, driver: F) -> Scoped<F> {
        scope(Current::root(self.system.clone()), driver)
    }

    /// Whether every resource is free again.
    pub(crate) fn is_idle(&self) -> bool {
        self.scheduler.resources().iter().all(|amount| amount.free == amount.total)
    }
}

/// Two CPUs, no looking for work under a paused clock.
#[allow(dead_code, reason = "each test program uses some of these")]
pub(crate) fn cpus(count: u32) -> SchedulerConfig {
    SchedulerConfig::default().num_cpus(f64::from(count)).spin(std::time::Duration::ZERO)
}

/// Writes what `#[mobula::task]` writes, for functions `fn name(arguments) -> Output` and `async fn`.
/// `try fn` marks one that returns a `Result`.
#[allow(unused_macro_rules, reason = "each test program uses some of these")]
#[macro_export]
macro_rules! task {
    ($(fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $out:ty $body:block)*) => {$(
        $crate::task!(@one $name ($($arg: $ty),*) $out, true,
            mobula_tasks::Body::sync(move || Ok($body)));
    )*};
    ($(async fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $out:ty $body:block)*) => {$(
        $crate::task!(@one $name ($($arg: $ty),*) $out, false,
            mobula_tasks::Body::future(async move { Ok($body) }));
    )*};
    ($(try fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> Result<$out:ty, $err:ty> $body:block)*) => {$(
        $crate::task!(@one $name ($($arg: $ty),*) $out, true,
            mobula_tasks::Body::sync(move || {
                let body = move || -> Result<$out, $err> { $body };
                body().map_err(mobula_tasks::UserError::from_user)
            }));
    )*};
    (@one $name:ident ($($arg:ident: $ty:ty),*) $out:ty, $blocking:literal, $body:expr) => {
        #[allow(dead_code, unused_imports, unused_variables, reason = "as the macro writes it")]
        mod $name {
            use super::*;
            #[derive(Debug)]
            pub(crate) enum Function {}
            impl mobula_tasks::TaskFunction for Function {
                type Args = ($($ty,)*);
                type Output = $out;
                const NAME: &'static str = module_path!();
                const SIGNATURE: &'static str = stringify!(fn($($ty),*) -> $out);
                const BLOCKING: bool = $blocking;
                fn run(args: Self::Args) -> mobula_tasks::Body<$out> {
                    let ($($arg,)*) = args;
                    $body
                }
                fn duplicate(args: &Self::Args) -> Option<Self::Args> {
                    use mobula_tasks::MaybeClone as _;
                    mobula_tasks::CloneProbe(args).duplicate()
                }
            }
            pub(crate) fn remote(
                $($arg: impl mobula_actor_core::IntoArg<$ty>),*
            ) -> mobula_store::ObjectRef<$out> {
                with(mobula_tasks::TaskOptions::new() $(, $arg)*)
            }
            pub(crate) fn with(
                options: mobula_tasks::TaskOptions
                $(, $arg: impl mobula_actor_core::IntoArg<$ty>)*
            ) -> mobula_store::ObjectRef<$out> {
                mobula_tasks::submit::<Function>(options, ($($arg.into_arg(),)*))
            }
            pub(crate) fn bind(
                $($arg: impl mobula_tasks::IntoBound<$ty>),*
            ) -> mobula_tasks::Bound<$out> {
                mobula_tasks::bind::<Function>(
                    mobula_tasks::TaskOptions::new(),
                    ($($arg.into_bound(),)*),
                )
            }
        }
    };
}
