"""The reading side of the API, one file a subject: what pages show, as JSON and as what spreadsheets read."""
