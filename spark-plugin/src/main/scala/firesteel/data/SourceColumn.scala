package firesteel.data

import firesteel.bridge.InvalidDataException
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.util.ArrayData

/** The position of a stream, for error messages.
  *
  * @param partition
  *   the number of the partition
  */
private[data] final class Position(val partition: Int) {

  /** The rows of the partition before the batch that is being filled. */
  var rows: Long = 0

  /** Returns a description of a row of the batch. */
  def row(at: Int): String = s"row ${rows + at} of partition $partition"
}

/** A user's column in the rows that a writer reads.
  *
  * @param name
  *   the name of the column
  * @param ordinal
  *   the index of the column in the rows
  */
private[data] final class SourceColumn(val name: String, val ordinal: Int, position: Position) {

  def requireValue(row: InternalRow, at: Int): Unit =
    if (row.isNullAt(ordinal)) nullValue(at)

  def nullValue(at: Int): Nothing = fail(s"the column '$name' is null in ${position.row(at)}")

  def nullElement(at: Int, element: Int): Nothing =
    fail(s"value $element of the column '$name' is null in ${position.row(at)}")

  def wrongSize(at: Int, found: Int, expected: Int): Nothing =
    fail(
      s"the column '$name' has $found values in ${position.row(at)}, but $expected are expected"
    )

  def wrongIndex(at: Int, index: Int, size: Int): Nothing =
    fail(
      s"the column '$name' has a vector with the index $index in ${position.row(at)}; " +
        s"indices must ascend and be below $size"
    )

  /** Returns the indices of a sparse vector. */
  def indices(vector: InternalRow, values: ArrayData, at: Int): ArrayData = {
    val found = vector.getArray(VectorRowWriter.IndicesField)
    if (found.numElements() != values.numElements()) {
      fail(
        s"the column '$name' has a vector with ${found.numElements()} indices and " +
          s"${values.numElements()} values in ${position.row(at)}"
      )
    }
    found
  }

  private def fail(message: String): Nothing = throw new InvalidDataException(message)
}
