"""Files and folders, local and on object stores."""
