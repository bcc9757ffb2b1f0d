"""What outlives the process: rows in a database, pictures in files.

One file per aggregate holds its rows and the class that reads and writes them. One method is one
transaction; a database session never leaves the method.
"""
