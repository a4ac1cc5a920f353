"""Tables of a study: each as TSV for machines, and as Markdown and LaTeX for people, from one data frame."""
