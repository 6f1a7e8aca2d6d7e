"""A federation's registry in the layout of the OSG topology: facilities, sites, resource groups, VOs, projects, downtimes."""
