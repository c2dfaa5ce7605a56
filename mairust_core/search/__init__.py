"""Finding mail: exactly, newest first, and complete right after the 250 (rule J1).

In the order of a search:

    grammar     the words of a search as a tree (`query`)
    normal      the form of text in which two writings are the same
    documents   what is searched of a message, in that form, made once
    engine      the port of what narrows a search down; `database` is the one in the site's own tables,
                made of `terms` and `postings`
    matching    the decision, on text and row alone
    finding     a page of hits
    indexing    what is stored becomes part of the index, later and in small steps (`texts`, `upkeep`)

An index may give too much and never too little; no hit is believed before it was decided.
"""
