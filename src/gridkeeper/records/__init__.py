"""The schemas of our tables: columns with unit and source, identity, the rules a record must keep."""
