package firesteel.checkpoint

import java.io.{FileNotFoundException, IOException}

import firesteel.bridge.CheckpointException
import firesteel.util.HadoopFiles
import org.apache.hadoop.fs.{FileStatus, FileSystem, Path}
import org.slf4j.LoggerFactory

/** The files of one fit's checkpoints: `checkpoint-<number>.bin`, of which the one with the highest number is valid,
  * and `settings.json`, which identifies the fit. A checkpoint is written under a temporary name and renamed once it is
  * complete; the previous one is deleted afterwards. So there is a complete checkpoint at any moment.
  *
  * @param files
  *   the file system
  * @param path
  *   the folder
  */
private[firesteel] final class CheckpointFolder(files: FileSystem, val path: Path) {
  import CheckpointFolder._

  /** The lock of the folder. */
  val lockFile: Path = new Path(path, "lock")

  def create(settings: String): Unit = {
    files.mkdirs(path)
    put(new Path(path, SettingsFile), settings.getBytes(java.nio.charset.StandardCharsets.UTF_8))
  }

  /** The newest checkpoint.
    *
    * @throws firesteel.bridge.CheckpointException
    *   naming the file that is not readable
    */
  def latest(): Option[(Path, Array[Byte])] = checkpoints().lastOption.map { case (_, file) =>
    try file -> HadoopFiles.read(files, file)
    catch {
      case error: IOException =>
        val refused =
          new CheckpointException(s"The checkpoint $file is not readable: ${error.getMessage}")
        refused.initCause(error)
        throw refused
    }
  }

  /** Writes a checkpoint and deletes the earlier ones.
    *
    * @param mayFinish
    *   evaluated after all bytes are written; if false, the checkpoint is dropped
    */
  def write(bytes: Array[Byte])(mayFinish: => Boolean): Unit = {
    val before = checkpoints()
    val number = before.lastOption.fold(0)(_._1) + 1
    val file = new Path(path, f"checkpoint-$number%06d.bin")
    val temporary = new Path(path, s".${file.getName}$Temporary")
    put(temporary, bytes)
    if (mayFinish) {
      if (!files.rename(temporary, file)) {
        throw new IOException(s"renaming $temporary to ${file.getName} failed")
      }
      before.foreach { case (_, old) => files.delete(old, false) }
    } else {
      files.delete(temporary, false)
      ()
    }
  }

  def isEmpty: Boolean = checkpoints().isEmpty

  /** Deletes the folder. A failure is only logged, since nothing needs the folder any more. */
  def remove(): Unit =
    try {
      files.delete(path, true)
      ()
    } catch {
      case error: IOException =>
        log.warn(s"Deleting the checkpoints in $path failed: ${error.getMessage}")
    }

  /** The checkpoints with their numbers, in ascending order. */
  private def checkpoints(): Seq[(Int, Path)] = {
    val found =
      try files.listStatus(path)
      catch { case _: FileNotFoundException => Array.empty[FileStatus] }
    found.toSeq
      .map(_.getPath)
      .flatMap(file => Name.findFirstMatchIn(file.getName).map(m => m.group(1).toInt -> file))
      .sortBy(_._1)
  }

  private def put(file: Path, bytes: Array[Byte]): Unit =
    HadoopFiles.write(files, file, bytes, overwrite = true, sync = true)
}

private[firesteel] object CheckpointFolder {
  private val log = LoggerFactory.getLogger("firesteel.checkpoint.CheckpointFolder")
  private val Name = """^checkpoint-(\d{6,9})\.bin$""".r
  private val Temporary = ".tmp"
  private val SettingsFile = "settings.json"
}
