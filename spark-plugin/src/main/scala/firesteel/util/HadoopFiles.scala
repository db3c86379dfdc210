package firesteel.util

import org.apache.hadoop.fs.{FileSystem, Path, StreamCapabilities}

/** Whole files of a Hadoop file system. */
private[firesteel] object HadoopFiles {

  /** Reads a file. */
  def read(files: FileSystem, file: Path): Array[Byte] = {
    val in = files.open(file)
    try in.readAllBytes()
    finally in.close()
  }

  /** Writes a file.
    *
    * @param overwrite
    *   true to replace an existing file, which is an error otherwise
    * @param sync
    *   true to wait until the bytes are on disk, where the file system can
    */
  def write(
      files: FileSystem,
      file: Path,
      bytes: Array[Byte],
      overwrite: Boolean,
      sync: Boolean = false
  ): Unit = {
    val out = files.create(file, overwrite)
    try {
      out.write(bytes)
      if (sync && out.hasCapability(StreamCapabilities.HSYNC)) out.hsync()
    } finally out.close()
  }
}
