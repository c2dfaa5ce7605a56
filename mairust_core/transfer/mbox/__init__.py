"""Mboxes of one account.

tree       a file, a stream, or a directory of files
box        one of them
dialects   how it is written      splitting  parts it into its messages
beside     what is told of them besides their bytes
writing    those whose way back is exact
"""
