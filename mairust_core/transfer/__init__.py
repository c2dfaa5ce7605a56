"""In and out: formats that mail is read from and written to, without services or a database.

What is here runs on the client as well as on the server. `repository` is the format of backups.
"""
