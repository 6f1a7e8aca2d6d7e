"""The registry in the forms that tools of this field read: resource summary, downtimes, VOs and projects, as XML, JSON and iCal."""
