package firesteel.classification

import java.lang.management.ManagementFactory
import java.nio.file.{Files, Path}

import javax.management.ObjectName

import scala.jdk.CollectionConverters._

/** The memory that native code of this process has. */
object NativeMemory {

  /** The memory that native code has allocated: the resident memory without the Java heap, whose size depends on its
    * collections, and without the JVM's own memory for classes and compiled code.
    */
  def megabytes(): Double = {
    val kilobytes = outsideHeap(heapBounds())
    val own = ManagementFactory.getMemoryMXBean.getNonHeapMemoryUsage.getCommitted
    kilobytes.toDouble / 1024 - own.toDouble / (1 << 20)
  }

  private val Bounds = """\[0x([0-9a-f]+), (?:0x[0-9a-f]+, )?0x([0-9a-f]+)\)""".r

  /** The address range of the Java heap. */
  private def heapBounds(): (Long, Long) = {
    val command = new ObjectName("com.sun.management:type=DiagnosticCommand")
    val described = ManagementFactory.getPlatformMBeanServer
      .invoke(
        command,
        "gcHeapInfo",
        Array[AnyRef](Array.empty[String]),
        Array("[Ljava.lang.String;")
      )
      .toString
    val found = Bounds.findAllMatchIn(described).flatMap(_.subgroups).map(address).toSeq
    (found.min, found.max)
  }

  private def outsideHeap(heap: (Long, Long)): Long = {
    val lines = Files.readAllLines(Path.of("/proc/self/smaps")).asScala
    val (_, total) = lines.foldLeft((true, 0L)) {
      case ((_, sum), Mapping(start)) =>
        (address(start) < heap._1 || address(start) >= heap._2, sum)
      case ((true, sum), s"Rss:$size kB") => (true, sum + size.trim.toLong)
      case (other, _) => other
    }
    total
  }

  private val Mapping = "([0-9a-f]+)-[0-9a-f]+ .*".r

  private def address(hexadecimal: String): Long = java.lang.Long.parseUnsignedLong(hexadecimal, 16)
}
