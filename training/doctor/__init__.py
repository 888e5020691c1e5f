"""What `hrda doctor` looks at before a training: files, classes, scale, leakage, machine."""
