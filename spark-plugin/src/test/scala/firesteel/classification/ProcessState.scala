package firesteel.classification

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._
import scala.util.Try

import org.apache.spark.sql.firesteel.SqlPrivate

/** The resources of a process that a fit must release.
  *
  * @param threads
  *   names of the threads that are ours, native ones included
  * @param ports
  *   the ports that the process listens on
  * @param arrowBytes
  *   the Arrow memory in use
  * @param spilled
  *   the files of spilled blocks that are mapped
  */
final case class ProcessState(
    threads: Seq[String],
    ports: Set[Int],
    arrowBytes: Long,
    spilled: Seq[String]
)

object ProcessState {
  def now(): ProcessState = ProcessState(threads(), ports(), SqlPrivate.allocated, spilled())

  private def list(folder: String): Seq[Path] = {
    val entries = Files.list(Path.of(folder))
    try entries.iterator().asScala.toSeq
    finally entries.close()
  }

  private def threads(): Seq[String] =
    list("/proc/self/task")
      .flatMap(task => Try(Files.readString(task.resolve("comm")).trim).toOption)
      .filter(_.startsWith("firesteel"))
      .sorted

  private def ports(): Set[Int] = {
    val inodes = list("/proc/self/fd")
      .flatMap(fd => Try(Files.readSymbolicLink(fd).toString).toOption)
      .collect { case s"socket:[$inode]" => inode }
      .toSet
    Seq("tcp", "tcp6").flatMap { table =>
      Files
        .readAllLines(Path.of("/proc/self/net", table))
        .asScala
        .tail
        .map(_.trim.split("\\s+"))
        .filter(fields => fields(3) == "0A" && inodes(fields(9)))
        .map(fields => Integer.parseInt(fields(1).split(":")(1), 16))
    }.toSet
  }

  private def spilled(): Seq[String] =
    Files
      .readAllLines(Path.of("/proc/self/maps"))
      .asScala
      .toSeq
      .filter(line => line.contains("firesteel") && line.contains("blockmgr"))
}
