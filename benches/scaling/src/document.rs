//! The tables in a document, each between two marks: `<!-- scaling: NAME -->` and `<!-- /scaling -->`.

use crate::tables::{TABLES, table};

const END: &str = "<!-- /scaling -->";

/// The document with every table as the program makes it now. A table that is not there is an error, so that none can be
/// lost.
pub fn renewed(document: &str) -> Result<String, String> {
    let mut text = document.to_owned();
    for name in TABLES {
        text = replaced(&text, name, &table(name)?)?;
    }
    Ok(text)
}

fn replaced(document: &str, name: &str, table: &str) -> Result<String, String> {
    let begin = format!("<!-- scaling: {name} -->\n");
    let (before, rest) = document.split_once(&begin).ok_or(format!("the document lacks the table {name}"))?;
    let (_, after) = rest.split_once(END).ok_or(format!("the table {name} has no end"))?;
    Ok(format!("{before}{begin}\n{table}\n{END}{after}"))
}

/// The first lines that differ, the document's and the program's.
pub fn first_difference<'t>(document: &'t str, renewed: &'t str) -> Option<(&'t str, &'t str)> {
    document.lines().zip(renewed.lines()).find(|(is, should)| is != should)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_replaced_and_nothing_else() {
        let document = "one\n<!-- scaling: cost -->\nold\n<!-- /scaling -->\ntwo\n";
        let new = replaced(document, "cost", "| new |\n").unwrap();
        assert_eq!(new, "one\n<!-- scaling: cost -->\n\n| new |\n\n<!-- /scaling -->\ntwo\n");
        assert_eq!(replaced(&new, "cost", "| new |\n").unwrap(), new);
        assert_eq!(first_difference(document, &new), Some(("old", "")));
        assert!(replaced(document, "steady", "").is_err());
    }

    /// The figures of the document are those of this program.
    #[test]
    fn the_document_has_the_tables_of_this_program() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scaling.md");
        let document = std::fs::read_to_string(path).unwrap();
        let renewed = renewed(&document).unwrap();
        let difference = first_difference(&document, &renewed);
        assert!(document == renewed, "docs/scaling.md is behind: run `scaling write`. {difference:#?}");
    }
}
