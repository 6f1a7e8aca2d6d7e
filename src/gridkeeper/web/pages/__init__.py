"""The pages, one file a subject; `frame` fills their templates, `routes` puts them together."""
