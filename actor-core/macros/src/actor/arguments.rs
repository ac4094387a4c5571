//! The options of `#[actor(…)]` and `#[method(…)]`.

use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Ident, LitStr};

use crate::options::{comma, literal, value};

/// How many handlers run at a time, and where.
#[derive(Clone, Debug, Default)]
pub(crate) enum Mode {
    /// One at a time, on any thread.
    #[default]
    Exclusive,
    /// One at a time, on one thread.
    Local,
    /// Up to this many at a time.
    Shared(Expr),
}

/// What stands in `#[actor(…)]`.
#[derive(Debug, Default)]
pub(crate) struct ActorArguments {
    pub(crate) mode: Mode,
    pub(crate) name: Option<LitStr>,
    pub(crate) key: Option<LitStr>,
    pub(crate) max_task_retries: Option<Expr>,
}

impl Parse for ActorArguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            match key.to_string().as_str() {
                "local" => arguments.set_mode(&key, Mode::Local)?,
                "max_concurrency" => {
                    let count = value::<Expr>(input)?;
                    if literal(&count) == Some(0) {
                        return Err(syn::Error::new_spanned(
                            count,
                            "an actor that handles no message at a time never handles any; 1 is the default",
                        ));
                    }
                    arguments.set_mode(&key, Mode::Shared(count))?;
                }
                "max_task_retries" => arguments.max_task_retries = Some(value(input)?),
                "name" => arguments.name = Some(value(input)?),
                "key" => arguments.key = Some(value(input)?),
                other => {
                    return Err(syn::Error::new_spanned(
                        &key,
                        format!(
                            "`#[actor]` has no option `{other}`; it has `local`, `max_concurrency = n`, `max_task_retries = n`, `name = \"…\"` and `key = \"…\"`"
                        ),
                    ));
                }
            }
            comma(input)?;
        }
        Ok(arguments)
    }
}

impl ActorArguments {
    fn set_mode(&mut self, key: &Ident, mode: Mode) -> syn::Result<()> {
        if !matches!(self.mode, Mode::Exclusive) {
            return Err(syn::Error::new_spanned(
                key,
                "`local` and `max_concurrency` exclude each other: an actor that stays on one thread runs one handler at a time",
            ));
        }
        self.mode = mode;
        Ok(())
    }
}

/// How a call is repeated, unless the caller says otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallDefaults {
    pub(crate) max_retries: Option<Expr>,
    pub(crate) retry_errors: bool,
}

impl Parse for CallDefaults {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut defaults = Self::default();
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            match key.to_string().as_str() {
                "max_retries" => defaults.max_retries = Some(value(input)?),
                "retry_errors" => defaults.retry_errors = true,
                other => {
                    return Err(syn::Error::new_spanned(
                        &key,
                        format!(
                            "`#[method]` has no option `{other}`; it has `max_retries = n` and `retry_errors`"
                        ),
                    ));
                }
            }
            comma(input)?;
        }
        Ok(defaults)
    }
}
