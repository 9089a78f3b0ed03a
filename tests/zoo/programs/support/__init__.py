"""What several programs of the zoo share: their pace, and modules that act as libraries."""
