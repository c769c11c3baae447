// LinkControl
