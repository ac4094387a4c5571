//! One file, seen as code, as comments and as tests.
//!
//! Searching raw text finds `spawn` in a sentence about spawning.
//! Parsing with a full Rust parser would need a dependency and would still drop the comments.
//! The scanner in between knows comments, strings, character literals and braces, and nothing else.
//! Invariant: `code` and `comments` have exactly the lines of `text`; what does not belong is blank.

pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    code: String,
    comments: String,
    test_lines: Vec<bool>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let is_rust = path.ends_with(".rs");
        let (code, comments) = if is_rust { scan(text) } else { (String::new(), String::new()) };
        let test_lines = if is_rust { test_lines(path, &code) } else { Vec::new() };
        let code = without_samples(&code, &test_lines);
        Self { path: path.to_owned(), text: text.to_owned(), code, comments, test_lines }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Samples that must not compile, or that pin a macro's output: not written to be read as modules.
    pub(crate) fn is_compiler_sample(&self) -> bool {
        self.path.starts_with("tests/ui/") || self.path.contains("/tests/ui/")
    }

    /// Lives in a test or bench target, or is a `tests.rs` beside its module.
    pub(crate) fn is_test_file(&self) -> bool {
        is_test_path(&self.path)
    }

    /// Every line of code with its number, comments and literals blanked.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Lines of code outside tests.
    pub(crate) fn product_code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code().filter(|(line, _)| !self.is_test_line(*line))
    }

    /// Lines of code inside tests.
    pub(crate) fn test_code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code().filter(|(line, _)| self.is_test_line(*line))
    }

    pub(crate) fn comments(&self) -> impl Iterator<Item = (usize, &str)> {
        self.comments.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// How many lines are not part of a test, comments included: they have to be read too.
    pub(crate) fn product_line_count(&self) -> usize {
        self.lines().filter(|(line, _)| !self.is_test_line(*line)).count()
    }

    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.test_lines.get(line - 1).copied().unwrap_or(false)
    }
}

fn is_test_path(path: &str) -> bool {
    let in_test_folder = |folder| path.starts_with(folder) || path.contains(&format!("/{folder}"));
    in_test_folder("tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// Whether `line` contains `word` with nothing word-like on either side.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// Splits `text` into two copies of the same shape: the code, and the comments.
fn scan(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let blank: Vec<u8> =
        bytes.iter().map(|&byte| if byte == b'\n' { b'\n' } else { b' ' }).collect();
    let (mut code, mut comments) = (blank.clone(), blank);
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (length, keep) = if rest.starts_with(b"//") {
            (line_end(rest), &mut comments)
        } else if rest.starts_with(b"/*") {
            (block_comment_length(rest), &mut comments)
        } else {
            let starts_word = at == 0 || !is_word_byte(bytes[at - 1]);
            if let Some(length) = literal_length(rest, starts_word) {
                // Quotes stay, so that an argument list still looks like one.
                code[at] = b'"';
                code[at + length - 1] = b'"';
                at += length;
                continue;
            }
            (1, &mut code)
        };
        keep[at..at + length].copy_from_slice(&rest[..length]);
        at += length;
    }
    (String::from_utf8_lossy(&code).into_owned(), String::from_utf8_lossy(&comments).into_owned())
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn line_end(rest: &[u8]) -> usize {
    rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())
}

fn block_comment_length(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Length of the string or character literal that `rest` begins with.
fn literal_length(rest: &[u8], starts_word: bool) -> Option<usize> {
    let prefix = match rest {
        [b'b' | b'c', b'r', ..] if starts_word => 2,
        [b'b' | b'c' | b'r', ..] if starts_word => 1,
        _ => 0,
    };
    let body = &rest[prefix..];
    if prefix > 0 && rest[prefix - 1] == b'r' {
        let hashes = body.iter().take_while(|&&byte| byte == b'#').count();
        if body.get(hashes) != Some(&b'"') {
            return None;
        }
        let end = [&b"\""[..], &b"#".repeat(hashes)].concat();
        let inner = &body[hashes + 1..];
        let length = inner.windows(end.len()).position(|window| window == end)?;
        return Some(prefix + hashes + 1 + length + end.len());
    }
    match body.first()? {
        b'"' => Some(prefix + quoted_length(body, b'"')),
        b'\'' if body.get(1) == Some(&b'\\') => Some(prefix + quoted_length(body, b'\'')),
        b'\'' => {
            // A character literal closes after one character; a lifetime does not close.
            let text = std::str::from_utf8(&body[1..body.len().min(8)]).unwrap_or("'");
            let length = text.chars().next()?.len_utf8();
            (body.get(1 + length) == Some(&b'\'')).then_some(prefix + length + 2)
        }
        _ => None,
    }
}

fn quoted_length(body: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < body.len() {
        match body[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    body.len()
}

/// Marks the lines of test files and of `#[cfg(test)]` items.
fn test_lines(path: &str, code: &str) -> Vec<bool> {
    let line_count = code.lines().count();
    if is_test_path(path) {
        return vec![true; line_count];
    }
    let mut marks = vec![false; line_count];
    for attribute in ["#[cfg(test)]", "#[cfg(all(test"] {
        for (start, _) in code.match_indices(attribute) {
            let end = start + item_length(&code[start..]);
            let first = code[..start].matches('\n').count();
            let last = code[..end].matches('\n').count();
            marks.iter_mut().take(last + 1).skip(first).for_each(|mark| *mark = true);
        }
    }
    marks
}

/// From an attribute to the end of its item: the matching brace, or a semicolon before any brace.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, character) in code.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth <= 1 => return at,
            '}' => depth -= 1,
            ';' if depth == 0 => return at,
            _ => {}
        }
    }
    code.len()
}

/// Blanks what tests of macros quote: it is somebody's sample, not our code.
fn without_samples(code: &str, test_lines: &[bool]) -> String {
    let mut bytes = code.as_bytes().to_vec();
    for (start, quote) in code.match_indices("quote!") {
        let line = code[..start].matches('\n').count();
        if test_lines.get(line) == Some(&true) {
            let body = start + quote.len();
            let end = body + group_length(&code[body..]);
            bytes[body..end]
                .iter_mut()
                .filter(|byte| **byte != b'\n')
                .for_each(|byte| *byte = b' ');
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// From before an opening bracket of any kind to its closing one.
fn group_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, character) in code.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth <= 1 => return at + 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(text: &str) -> String {
        Source::new("a.rs", text).code
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = "let a = \"spawn\"; // spawn\nlet b = 'x'; /* spawn /* deep */ spawn */ let c = r#\"spawn\"#;\n";
        assert!(!code_of(text).contains("spawn"), "{}", code_of(text));
        assert_eq!(code_of(text).lines().count(), 2);
        assert!(code_of(text).contains("let c ="));
    }

    #[test]
    fn lifetimes_and_escapes_do_not_swallow_code() {
        let text = "fn f<'a>(x: &'a str) { g('\\'', '\"', b'x', \"\\\"\"); spawn() }";
        assert!(code_of(text).contains("spawn()"));
    }

    #[test]
    fn comments_are_kept_apart() {
        let source = Source::new("a.rs", "//! Why.\nlet a = 1; // because\n");
        let comments: Vec<&str> = source.comments().map(|(_, line)| line.trim()).collect();
        assert_eq!(comments, ["//! Why.", "// because"]);
    }

    #[test]
    fn test_items_are_told_from_product_code() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { if x {} }\n}\nfn c() {}\n";
        let source = Source::new("store/src/a.rs", text);
        let product: Vec<usize> = source.product_code().map(|(line, _)| line).collect();
        assert_eq!(product, [1, 6]);
        assert_eq!(Source::new("store/tests/a.rs", text).product_line_count(), 0);
        assert_eq!(Source::new("store/src/a/tests.rs", text).product_line_count(), 0);
    }

    #[test]
    fn what_tests_of_macros_quote_is_not_our_code() {
        let text = "fn f() { g(quote! { unsafe fn x() { [1] } }); unsafe {} }\n";
        let in_test = Source::new("macros/src/a/tests.rs", text);
        assert_eq!(in_test.code.matches("unsafe").count(), 1);
        assert_eq!(Source::new("macros/src/a.rs", text).code.matches("unsafe").count(), 2);
    }

    #[test]
    fn words_have_edges() {
        assert!(has_word("let x = unsafe { y }", "unsafe"));
        assert!(!has_word("#![deny(unsafe_code)]", "unsafe"));
    }
}
