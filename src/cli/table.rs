//! [`Table`]: rows of text in columns.
//!
//! **Invariants.** Every cell is made safe for a terminal. No line ends in spaces.

use super::safe::safe;

/// Rows of cells.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// A table with this head; the columns of numbers in `right` are set to the right.
    #[must_use]
    pub(super) fn new(head: &[&str], right: &[usize]) -> Self {
        let mut table = Self { rows: Vec::new(), right: right.to_vec() };
        table.row(head.iter().map(|cell| (*cell).to_owned()));
        table
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| safe(&cell)).collect());
    }

    /// The table as lines, each after `indent`.
    #[must_use]
    pub(super) fn lines(&self, indent: &str) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).filter_map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match self.right.contains(&column) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            let line = format!("{indent}{}", cells.collect::<Vec<_>>().join("   "));
            format!("{}\n", line.trim_end())
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_each_other() {
        let mut table = Table::new(&["NAME", "SIZE", "SET"], &[1]);
        table.row(["a", "1 B", ""].map(str::to_owned));
        table.row(["b\u{1b}", "100 MiB", "2"].map(str::to_owned));
        assert_eq!(table.lines("  "), "  NAME         SIZE   SET\n  a             1 B\n  b\\u{1b}   100 MiB   2\n");
    }
}
