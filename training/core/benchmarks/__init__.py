"""The paper's protocols and those that later work is stated by: one file each, in the set's official layout."""
