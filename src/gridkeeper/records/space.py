"""`storage_space`: what a storage element is, and how full it was at a moment."""

from __future__ import annotations

from gridkeeper.records.columns import ARRIVAL, BOOKKEEPING, DAY, TEXT, TIME, WHOLE, Column, Table

STORAGE_SPACE = Table(
    name="storage_space",
    meaning="A storage element's description or its measured space at one moment.",
    columns=(
        *BOOKKEEPING,
        Column("probe", TEXT, "", "Who sent it", "Gratia ProbeName", content=False),
        Column("record_type", TEXT, "", "StorageElement or StorageElementRecord", "Gratia element name"),
        Column("unique_id", TEXT, "", "The storage element or space", "Gratia UniqueID"),
        Column("storage_element", TEXT, "", "The storage element it belongs to", "Gratia SE"),
        Column("name", TEXT, "", "Its name", "Gratia Name"),
        Column("parent_id", TEXT, "", "The space that contains it", "Gratia ParentID"),
        Column("vo_reported", TEXT, "", "The VO as the record says it", "Gratia VO"),
        Column("owner_dn", TEXT, "", "Its owner", "Gratia OwnerDN", personal=True),
        Column("space_type", TEXT, "", "SE, Pool, PoolGroup, Area, Quota ...", "Gratia SpaceType"),
        Column("implementation", TEXT, "", "Software", "Gratia Implementation"),
        Column("version", TEXT, "", "Version of the software", "Gratia Version"),
        Column("status_reported", TEXT, "", "Status in the source's words", "Gratia Status"),
        Column("site_reported", TEXT, "", "The site as the record says it", "Gratia SiteName"),
        Column("grid_reported", TEXT, "", "The grid as the record says it", "Gratia Grid"),
        Column("measurement_type", TEXT, "", "raw or logical", "Gratia MeasurementType"),
        Column("storage_type", TEXT, "", "disk or tape", "Gratia StorageType"),
        Column("measured_at", TIME, "", "When", "Gratia Timestamp"),
        Column("start_day", DAY, "day", "UTC day of measured_at"),
        Column("end_day", DAY, "day", "UTC day of measured_at"),
        Column("total_bytes", WHOLE, "bytes", "All space", "Gratia TotalSpace"),
        Column("used_bytes", WHOLE, "bytes", "Used space", "Gratia UsedSpace"),
        Column("free_bytes", WHOLE, "bytes", "Free space", "Gratia FreeSpace"),
        Column("file_count", WHOLE, "files", "Files", "Gratia FileCount"),
        Column("file_count_limit", WHOLE, "files", "Most files allowed", "Gratia FileCountLimit"),
        *ARRIVAL,
    ),
    precedence=("measured_at", "content_hash"),
    pruned=("identity_day", "start_day", "end_day", "load_seq"),
)
