//! One small function for each thing that `#[task]` writes, and one for each that it refuses.

use quote::quote;

use super::*;
use crate::expansion::{assert_has, errors, shown};

#[test]
fn a_function_becomes_a_module_beside_it() {
    let text = shown(expand(
        quote!(num_cpus = 2, max_retries = 3, resource("gpu", 0.5), retry_errors, version = 7),
        quote! {
            pub fn multiply(x: Matrix, y: Matrix) -> Result<Matrix, ShapeError> { x.dot(y) }
        },
    ));
    assert!(text.starts_with("pub fn multiply(x: Matrix, y: Matrix)"), "{text}");
    assert_has(&text, "pub mod multiply {");
    assert_has(&text, "type Args = (Matrix, Matrix);");
    assert_has(
        &text,
        "const NAME: &'static str = ::core::concat!(::core::module_path!(), \"::multiply\");",
    );
    assert_has(&text, "const VERSION: u32 = 7;");
    assert_has(&text, "\"fn(Matrix, Matrix) -> Result<Matrix, ShapeError>\"");
    assert_has(
        &text,
        "TaskOptions::new().num_cpus(2.0).resource(\"gpu\", 0.5).max_retries(3).retry_errors()",
    );
    assert_has(
        &text,
        "Body::sync(move || ::core::result::Result::map_err(::mobula::__macro::ResultParts::into_std(multiply(args.0, args.1)",
    );
    assert_has(&text, "FunctionEntry::of::<multiply::Function>()");
}

#[test]
fn async_functions_are_futures() {
    let text = shown(expand(
        quote!(name = "ping"),
        quote!(
            async fn ping() {}
        ),
    ));
    assert_has(&text, "const NAME: &'static str = \"ping\";");
    assert_has(&text, "const BLOCKING: bool = false;");
    assert_has(&text, "Body::future(async move { ::core::result::Result::Ok(ping().await) })");
    assert_has(&text, "pub fn remote() -> ::mobula::__macro::ObjectRef<");
}

#[test]
fn several_returns_are_several_references() {
    let item = quote!(
        fn split(a: u8) -> (u8, u16) {
            todo!()
        }
    );
    let text = shown(expand(quote!(num_returns = 2), item));
    assert_has(&text, "::mobula::__macro::submit_many::<Function, Output>");
    assert_has(&text, "ObjectRef<<Output as ::mobula::__macro::ArgAt<1>>::Arg>");
}

#[test]
fn the_stand_in_is_as_visible_as_the_function() {
    let visible = |item| {
        let text = shown(expand(quote!(), item));
        text.lines().find(|line| line.contains("enum Function")).unwrap().trim().to_owned()
    };
    assert_eq!(
        visible(quote!(
            fn f() {}
        )),
        "pub(super) enum Function {}"
    );
    assert_eq!(
        visible(quote!(
            pub(super) fn f() {}
        )),
        "pub(in super::super) enum Function {}"
    );
    assert_eq!(
        visible(quote!(
            pub(crate) fn f() {}
        )),
        "pub(crate) enum Function {}"
    );
    assert_eq!(
        visible(quote!(
            pub fn f() {}
        )),
        "pub enum Function {}"
    );
}

/// Options, item, and part of the error.
fn refusals() -> Vec<(TokenStream, TokenStream, &'static str)> {
    vec![
        (
            quote!(),
            quote!(
                struct A;
            ),
            "goes on a function",
        ),
        (quote!(), quote!(impl A {}), "there is `#[mobula::actor]`"),
        (
            quote!(),
            quote!(
                fn f<T>(a: T) {}
            ),
            "cannot be generic",
        ),
        (
            quote!(),
            quote!(
                fn f(a: &str) {}
            ),
            "messages own what they carry",
        ),
        (
            quote!(),
            quote!(
                fn f() -> impl Sized {}
            ),
            "cannot be `impl Trait`",
        ),
        (
            quote!(),
            quote!(
                fn f(&self) {}
            ),
            "`self` has no meaning",
        ),
        (
            quote!(),
            quote!(
                fn f([a]: [u8; 1]) {}
            ),
            "plain name",
        ),
        (
            quote!(),
            quote!(
                fn f() -> Deferred<u8> {
                    todo!()
                }
            ),
            "a task's result is its return value",
        ),
    ]
}

fn refused_options() -> Vec<(TokenStream, TokenStream, &'static str)> {
    vec![
        (
            quote!(cpus = 1),
            quote!(
                fn f() {}
            ),
            "no option `cpus`",
        ),
        (
            quote!(num_returns = 0),
            quote!(
                fn f() {}
            ),
            "from 1 to 8",
        ),
        (
            quote!(num_returns = 2),
            quote!(
                fn f() -> u8 {
                    1
                }
            ),
            "a tuple of 2 values",
        ),
        (
            quote!(num_returns = 2),
            quote!(
                fn f() -> Result<(u8,), E> {
                    1
                }
            ),
            "a tuple of 2 values",
        ),
        (
            quote!(),
            quote!(
                fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8) {}
            ),
            "at most 8 arguments",
        ),
    ]
}

#[test]
fn what_is_refused_says_why() {
    for (arguments, item, reason) in refusals().into_iter().chain(refused_options()) {
        let text = item.to_string();
        let errors = errors(expand(arguments, item)).join("\n");
        assert!(errors.contains(reason), "{text}: {errors}");
    }
}
