"""Work on many files, parted among the tasks of a job array and the processes of a task."""
