//! The reference of the command line, as it stands in `docs/reference/cli.md`.

use clap::Command;

/// The reference: the help of ocm and of each verb.
#[must_use]
pub fn markdown() -> String {
    let mut command = super::command().term_width(100);
    command.build();
    let mut text = String::from(
        "# The command line\n\n\
         Made from the program itself: `UPDATE=1 cargo test --test suite cli` writes this file.\n\n\
         Results go to stdout, all else to stderr. Each option can be set by the variable named beside it. Exit codes:\n\
         0 done, 1 failed, 2 usage or configuration, 3 in part (what is there is complete), 4 damaged,\n\
         5 something else is needed (a set, a volume, a key), 130 interrupted.\n",
    );
    section(&mut text, "ocm", &mut command);
    text
}

/// The help of a command and of those below it.
fn section(text: &mut String, name: &str, command: &mut Command) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    *text += &format!("\n## {name}\n\n```\n{}\n```\n", lines.join("\n"));
    for verb in command.get_subcommands_mut() {
        section(text, &format!("{name} {}", verb.get_name()), verb);
    }
}
