! Read a CHGCAR as VASP's documentation and the files themselves say it is read: the header by lines, grids and numbers
! as lists (any layout, by count), the headers of augmentation records by columns (A24,2I4), one list of moments before
! each further block, imaginary records behind the ordinary ones where there are four blocks.
!
! A reader apart from chgtools' own, for its tests: gfortran's runtime decides what a number is. It knows what VASP knows
! from POSCAR, INCAR and POTCAR, on standard input:
!
!     path
!     ions  blocks  nx ny nz  records (1 or 0)
!     length of each ion's record
!
! It prints "accepted", then the mean of each block and the sum of all occupancies; or "rejected: " and the reason.
program read_chgcar
  use, intrinsic :: iso_fortran_env, only: real64, int64
  use, intrinsic :: ieee_arithmetic, only: ieee_is_finite
  implicit none
  character(len=4096) :: path, line
  character(len=*), parameter :: title = 'augmentation occupancies', imaginary = ' (imaginary part)'
  integer :: n_ions, n_blocks, nx, ny, nz, with_records, unit, status, block, i
  integer, allocatable :: length(:)
  real(real64), allocatable :: numbers(:), moments(:)
  real(real64) :: means(4), occupancies, row(3)
  integer :: grid(3)

  read (*, '(A)') path
  read (*, *) n_ions, n_blocks, nx, ny, nz, with_records
  allocate (length(n_ions), moments(n_ions))
  length = 0
  if (with_records == 1) read (*, *) length

  open (newunit=unit, file=trim(path), status='old', action='read', form='formatted', iostat=status)
  call need(status, 'the file cannot be opened')
  read (unit, '(A)', iostat=status) line
  call need(status, 'comment')
  read (unit, *, iostat=status) row(1)
  call need(status, 'scale')
  do i = 1, 3
    read (unit, *, iostat=status) row
    call need(status, 'lattice vector')
  end do
  read (unit, '(A)', iostat=status) line
  call need(status, 'species')
  ! VASP 4 wrote no species: then this line holds the counts
  if (verify(trim(adjustl(line)), ' 0123456789'//char(13)) /= 0) then
    read (unit, '(A)', iostat=status) line
    call need(status, 'counts')
  end if
  read (unit, '(A)', iostat=status) line
  call need(status, 'Direct')
  do i = 1, n_ions
    read (unit, *, iostat=status) row
    call need(status, 'position of an ion')
  end do

  allocate (numbers(int(nx, int64)*ny*nz))
  occupancies = 0
  do block = 1, n_blocks
    if (block > 1) then
      read (unit, *, iostat=status) moments
      call need(status, 'moments of the ions')
    end if
    read (unit, *, iostat=status) grid
    call need(status, 'grid line')
    if (any(grid /= [nx, ny, nz])) call reject('dimensions on the file are different')
    read (unit, *, iostat=status) numbers
    call need(status, 'the density is incomplete or holds no number')
    means(block) = sum(numbers)/size(numbers)
    if (.not. ieee_is_finite(means(block))) call reject('the density is not finite')
    if (with_records == 1) then
      call read_records(title)
      if (n_blocks == 4) call read_records(title//imaginary)
    end if
  end do
  print '(A)', 'accepted'
  print '(4ES24.15)', means(:n_blocks)
  print '(ES24.15)', occupancies

contains

  subroutine read_records(wanted)
    character(len=*), intent(in) :: wanted
    character(len=len(wanted)) :: found
    character(len=12) :: columns
    real(real64), allocatable :: values(:)
    integer :: ion, index, count

    do ion = 1, n_ions
      if (ion > 9999) then  ! the index does not fit its columns
        write (columns, '(A,I0,A)') '(A', len(wanted), ',4X,I4)'
        read (unit, columns, iostat=status) found, count
        index = ion
      else
        write (columns, '(A,I0,A)') '(A', len(wanted), ',2I4)'
        read (unit, columns, iostat=status) found, index, count
      end if
      call need(status, 'header of an augmentation record')
      if (found /= wanted .or. index /= ion .or. count /= length(ion)) then
        write (line, '(A,I0,A)') 'ion ', ion, ' data corrupt'
        call reject(trim(line))
      end if
      allocate (values(count))
      read (unit, *, iostat=status) values
      call need(status, 'values of an augmentation record')
      occupancies = occupancies + sum(values)
      if (.not. ieee_is_finite(occupancies)) call reject('an occupancy is not finite')
      deallocate (values)
    end do
  end subroutine

  subroutine need(status, what)
    integer, intent(in) :: status
    character(len=*), intent(in) :: what
    if (status /= 0) call reject(what)
  end subroutine

  subroutine reject(reason)
    character(len=*), intent(in) :: reason
    print '(2A)', 'rejected: ', reason
    stop
  end subroutine

end program
