package firesteel.cluster

import java.lang.management.ManagementFactory

import com.sun.management.OperatingSystemMXBean

/** The memory of the machine or container that a JVM runs on.
  *
  * @param memory
  *   all of it, in bytes
  * @param heap
  *   the most that the JVM's heap may take of it
  */
private[firesteel] final case class Machine(memory: Long, heap: Long) {

  /** What native code may take. */
  def native: Long = math.max(0L, memory - heap)
}

private[firesteel] object Machine {

  /** That of this JVM. */
  def here: Machine = {
    val heap = Runtime.getRuntime.maxMemory
    ManagementFactory.getOperatingSystemMXBean match {
      case system: OperatingSystemMXBean => Machine(system.getTotalMemorySize, heap)
      case _ => Machine(Long.MaxValue, heap)
    }
  }
}
