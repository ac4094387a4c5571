//! One small actor for each thing that `#[actor]` writes, and one for each that it refuses.

use quote::quote;

use super::*;
use crate::expansion::{assert_has, errors, shown};

fn refused(arguments: TokenStream, item: TokenStream) -> String {
    errors(expand(arguments, item)).join("\n")
}

#[test]
fn the_block_stays_and_the_actor_is_written() {
    let text = shown(expand(
        quote!(),
        quote! {
            impl Counter {
                pub fn new(start: u64) -> Self { Self { count: start } }
                /// Adds.
                pub fn add(&mut self, by: u64) -> u64 { self.count += by; self.count }
                fn private(&self) {}
            }
        },
    ));
    assert!(text.starts_with("#[allow(unreachable_pub, reason = "), "{text}");
    assert!(text.contains("]\nimpl Counter {\n    pub fn new(start: u64) -> Self {"), "{text}");
    assert_has(
        &text,
        "type Mode = ::mobula::__macro::Exclusive; type Calls = CounterCalls; const NAME: &'static str = \"Counter\";",
    );
    assert_has(
        &text,
        "/// Adds.\n pub fn add(&self, by: impl ::mobula::__macro::IntoArg<u64>) -> ::mobula::__macro::Call<'_, Counter, CounterAdd>",
    );
    assert_has(
        &text,
        "type Args = (u64,); const NAME: &'static str = \"Counter::add\"; type Reply = u64;",
    );
    assert_has(&text, "const PROMPT: bool = true; fn receive_now(");
    assert_has(&text, "reply.send(Self::add(self, args.0)); }");
    assert_has(
        &text,
        "Self::receive_now(self, message, ctx, reply); ::mobula::__macro::Step::done()",
    );
    assert_has(&text, "pub fn remote(start: u64) -> ::mobula::__macro::ActorRef<Self>");
    assert!(!text.contains("CounterPrivate"), "{text}");
}

#[test]
fn async_methods_run_later_with_their_context() {
    let item = quote! {
        impl Counter {
            pub async fn load(&mut self, key: String, ctx: &mut Context<Self>) -> Result<u64, E> { todo!() }
        }
    };
    let text = shown(expand(quote!(), item.clone()));
    assert_has(&text, "type Args = (String,);");
    assert_has(
        &text,
        "Step::later(async move { reply.send(Self::load(self, args.0, ctx).await); })",
    );
    assert_has(&text, "type Refusal = <Result<u64, E> as ::mobula::__macro::ResultParts>::Error;");
    let text = shown(expand(quote!(local), item));
    assert_has(&text, "type Mode = ::mobula::__macro::Local;");
    assert_has(&text, "impl ::mobula::__macro::LocalHandler<CounterLoad> for Counter");
    assert_has(&text, "Step::later_local(async move");
}

#[test]
fn shared_methods_block_or_await() {
    let text = shown(expand(
        quote!(max_concurrency = 4),
        quote! {
            impl Cache {
                pub fn get(&self, key: u64) -> u64 { key }
                pub async fn fetch(&self) {}
            }
        },
    ));
    assert_has(&text, "const MAX_CONCURRENCY: usize = 4;");
    assert_has(
        &text,
        "const BLOCKING: bool = true; fn handle_blocking(&self, message: CacheGet) -> ::core::option::Option<u64>",
    );
    assert_has(
        &text,
        "let () = ::mobula::__macro::Method::into_args(message); Self::fetch(self).await",
    );
}

#[test]
fn a_deferred_reply_is_held_while_the_method_runs() {
    let text = shown(expand(
        quote!(),
        quote! {
            impl Till { pub fn take(&mut self, ctx: &mut Context<Self>) -> Deferred<Coin> { todo!() } }
        },
    ));
    assert_has(&text, "type Reply = Coin;");
    assert_has(
        &text,
        "ctx.hold_reply(reply); let deferred: ::mobula::__macro::Deferred<Coin> = Self::take(self, ctx); ::core::mem::drop(deferred); ctx.release_held_reply();",
    );
}

#[test]
fn hooks_are_no_calls() {
    let text = shown(expand(
        quote!(),
        quote! {
            impl Counter {
                pub async fn started(&mut self, ctx: &mut Context<Self>) -> anyhow::Result<()> { Ok(()) }
                fn stopping(&mut self, reason: &ExitReason) {}
                fn down(&mut self, monitor: MonitorRef, reason: ExitReason) {}
            }
        },
    ));
    assert_has(
        &text,
        "Hook::later(async move { match ::mobula::__macro::ResultParts::into_std(Self::started(self, ctx).await)",
    );
    assert_has(&text, "Self::stopping(self, &reason); ::mobula::__macro::Hook::done()");
    assert_has(&text, "Self::down(self, monitor, reason); ::mobula::__macro::Hook::done()");
    assert!(!text.contains("CounterStarted"), "{text}");
}

#[test]
fn call_defaults_come_from_the_method_or_the_actor() {
    let text = shown(expand(
        quote!(max_task_retries = 2),
        quote! {
            impl Counter {
                #[method(max_retries = 5, retry_errors)]
                pub fn first(&self) {}
                pub fn second(&self) {}
            }
        },
    ));
    assert_has(&text, "(&self.address, ()).max_retries(5).retry_errors()");
    assert_has(&text, "(&self.address, ()).max_retries(2)");
    assert!(!text.contains("#[method"), "{text}");
}

#[test]
fn conditions_stand_on_everything_generated() {
    let text = shown(expand(
        quote!(),
        quote! { impl Counter { #[cfg(feature = "x")] pub fn first(&self) {} } },
    ));
    assert_eq!(text.matches("#[cfg(feature = \"x\")]").count(), 7, "{text}");
}

#[test]
fn the_constructor_is_found() {
    let remote = |item| {
        let text = shown(expand(quote!(), item));
        text.lines().find(|line| line.contains("fn remote(")).unwrap_or_default().trim().to_owned()
    };
    assert!(remote(quote! { impl A { fn open(path: String) -> Self { todo!() } } }).is_empty());
    let found =
        remote(quote! { impl A { pub fn open(path: String) -> io::Result<A> { todo!() } } });
    assert!(found.starts_with("pub fn remote(path: String)"), "{found}");
    let found = remote(quote! {
        impl A {
            pub fn one() -> Self { todo!() }
            #[constructor] pub(crate) async fn two(a: u8) -> Result<Self, E> { todo!() }
        }
    });
    assert!(found.starts_with("pub(crate) fn remote(a: u8)"), "{found}");
}

#[test]
fn what_is_refused_says_why() {
    let method = |method: TokenStream| refused(quote!(), quote! { impl A { #method } });
    for (item, reason) in [
        (quote! { pub fn stop(&self) {} }, "`stop` is taken"),
        (quote! { pub fn r#into(&self) {} }, "`into` is taken"),
        (quote! { pub fn remote() {} }, "`remote` is taken"),
        (quote! { pub fn get<T>(&self, key: T) {} }, "cannot be generic"),
        (quote! { pub fn get(&self, key: impl Into<String>) {} }, "cannot be `impl Trait`"),
        (quote! { pub fn get(&self, key: &str) {} }, "messages own what they carry"),
        (quote! { pub fn get(&self) -> &str { "" } }, "a reply cannot be a reference"),
        (quote! { pub fn get(&self, (a, b): (u8, u8)) {} }, "plain name"),
        (quote! { pub fn end(self) {} }, "cannot take `self` by value"),
        (quote! { pub fn get(&self, ctx: Context<Self>) {} }, "the context is lent"),
        (quote! { pub unsafe fn get(&self) {} }, "cannot be `unsafe`"),
        (quote! { pub fn started(&mut self, a: u8) {} }, "a hook gets only"),
        (quote! { pub fn started(&mut self) -> u8 { 1 } }, "a hook returns nothing"),
        (quote! { pub fn a() -> Self {} pub fn b() -> Self {} }, "which function makes the actor"),
        (quote! { #[constructor] pub fn a(&self) -> Self {} }, "a constructor makes the actor"),
        (quote! { #[method(retries = 1)] pub fn a(&self) {} }, "no option `retries`"),
        (quote! { #[method(retry_errors)] fn a(&self) {} }, "only those are calls"),
    ] {
        let text = item.to_string();
        let errors = method(item);
        assert!(errors.contains(reason), "{text}: {errors}");
    }
}

#[test]
fn whole_blocks_are_refused() {
    assert!(
        refused(
            quote!(),
            quote!(
                struct A;
            )
        )
        .contains("not on the struct")
    );
    assert!(refused(quote!(), quote!(impl Clone for A {})).contains("`impl` of a trait"));
    assert!(
        refused(
            quote!(),
            quote!(
                impl<T> A<T> {}
            )
        )
        .contains("cannot be generic")
    );
    assert!(
        refused(quote!(local, max_concurrency = 2), quote!(impl A {}))
            .contains("exclude each other")
    );
    assert!(refused(quote!(max_concurrency = 0), quote!(impl A {})).contains("1 is the default"));
    assert!(refused(quote!(remote), quote!(impl A {})).contains("no option `remote`"));
    let shared =
        quote! { impl A { pub fn a(&mut self) {} pub fn b(&self, ctx: &mut Context<Self>) {} } };
    let errors = errors(expand(quote!(max_concurrency = 2), shared));
    assert_eq!(errors.len(), 2, "{errors:?}");
}
