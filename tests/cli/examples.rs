//! Every command line that the help texts and README.md show is one that maxq takes.

use clap::{CommandFactory, Parser};
use maxq::cli::Cli;

/// The words of a command line as a shell would split them, up to what is another command's, a file's, or a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, '>') => {
                // The number of what is redirected is none of its words.
                word = word.filter(|word| word.parse::<u8>().is_err());
                break;
            }
            (None, '|' | ';' | '&') => break,
            (None, '#') if word.is_none() => break,
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words.retain(|word| word != "[...]");
    words
}

/// The lines that are typed in the blocks of README.md, continued ones put together.
fn of_readme() -> Vec<String> {
    let (mut lines, mut block) = (Vec::new(), None);
    let mut continued = String::new();
    for line in include_str!("../../README.md").lines() {
        let line = line.trim();
        if let Some(kind) = line.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(kind) };
            continued.clear();
            continue;
        }
        let typed = match (block, line.strip_prefix("$ ")) {
            _ if !continued.is_empty() => line,
            (Some("console"), Some(typed)) => typed,
            (Some("sh" | "bash" | "shell"), None) => line,
            _ => continue,
        };
        continued += typed;
        if let Some(more) = continued.strip_suffix('\\') {
            continued = format!("{more} ");
        } else {
            lines.push(std::mem::take(&mut continued));
        }
    }
    lines
}

/// The examples of a command's help, and of those below it; what is said of each stands two spaces behind it.
fn of_help(command: &clap::Command, lines: &mut Vec<String>) {
    for text in [command.get_after_help(), command.get_after_long_help()].into_iter().flatten() {
        let text = text.to_string();
        let typed = text.lines().map(str::trim).filter(|line| line.starts_with("maxq "));
        lines.extend(typed.map(|line| line.split("  ").next().unwrap_or(line).to_owned()));
    }
    command.get_subcommands().for_each(|command| of_help(command, lines));
}

fn assert_taken(lines: &[String]) -> usize {
    let mut taken = 0;
    for line in lines {
        // Variables may be set before the command, and privileges changed.
        let words = words(line);
        let Some(start) = words.iter().position(|word| word == "maxq" || word.ends_with("/maxq"))
        else {
            continue;
        };
        match Cli::try_parse_from(&words[start..]) {
            Ok(_) => {}
            // Help and version are errors to clap.
            Err(error) if !error.use_stderr() => {}
            Err(error) => panic!("{line}\n{error}"),
        }
        taken += 1;
    }
    taken
}

#[test]
fn every_example_of_the_help_is_taken() {
    let mut lines = Vec::new();
    of_help(&Cli::command(), &mut lines);
    assert!(assert_taken(&lines) >= 15, "{lines:#?}");
}

#[test]
fn every_command_line_of_the_readme_is_taken() {
    let lines = of_readme();
    assert!(assert_taken(&lines) >= 15, "{lines:#?}");
}

#[test]
fn lines_are_split_as_a_shell_does() {
    let split = |line: &str| words(line).join("|");
    assert_eq!(
        split("maxq --slo 'p99 < 1ms' \"http://a/?b=1&c\" 2> x | tail"),
        "maxq|--slo|p99 < 1ms|http://a/?b=1&c"
    );
    assert_eq!(split("maxq -c 2 http://a/#b [...]   # why"), "maxq|-c|2|http://a/#b");
}
